package app

import (
	"context"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	contract "invited/gen/server"
)

func (p Process) openapiCommand() *cobra.Command {
	return command("openapi", "Print the OpenAPI document that this binary was generated from", "",
		func(context.Context) error {
			spec, err := contract.GetSpec()
			if err != nil {
				return err
			}
			document, err := spec.MarshalYAML()
			if err != nil {
				return err
			}
			return yaml.NewEncoder(p.Stdout).Encode(document)
		})
}
