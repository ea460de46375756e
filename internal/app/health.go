package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long the server on this machine has to answer.
const healthTimeout = 5 * time.Second

func (p Process) healthCommand() *cobra.Command {
	return command("health", "Ask the server on this machine whether it is ready",
		`Asks /readyz of the server at INVITED_LISTEN_ADDR, and prints the result of each check. It fails where the server is
not ready or does not answer within 5 seconds: for the health check of a container or a service manager.`,
		func(ctx context.Context) error {
			c, err := p.loadConfig()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, healthTimeout)
			defer cancel()
			address := c.LocalURL().JoinPath("readyz").String()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				return err
			}
			// A proxy that the environment names is for other machines.
			response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
			if err != nil {
				return fmt.Errorf("the server does not answer, is it running? %w", err)
			}
			defer func() { _ = response.Body.Close() }()
			var health struct {
				Status string            `json:"status"`
				Checks map[string]string `json:"checks"`
			}
			if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&health); err != nil || health.Status == "" {
				return fmt.Errorf("%s is not the health of this program: another program listens on INVITED_LISTEN_ADDR", address)
			}
			lines := []string{health.Status}
			for _, name := range slices.Sorted(maps.Keys(health.Checks)) {
				lines = append(lines, name+": "+shown(health.Checks[name]))
			}
			if response.StatusCode != http.StatusOK {
				return errors.New(strings.Join(lines, "\n"))
			}
			_, err = fmt.Fprintln(p.Stdout, strings.Join(lines, "\n"))
			return err
		})
}
