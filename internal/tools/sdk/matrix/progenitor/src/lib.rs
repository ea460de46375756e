//! The client, which the macro generates from the contract with the overlay applied.

progenitor::generate_api!(spec = "openapi.yaml", interface = Builder);
