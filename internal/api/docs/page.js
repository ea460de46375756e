"use strict";

// Relative, as everything on the page: a gateway may serve it under a prefix.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // it would send the address of this server elsewhere
});
