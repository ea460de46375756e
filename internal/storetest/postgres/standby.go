package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// NewStandby starts another server that replays what this one writes. This server is restarted for that.
func (s *Server) NewStandby(ctx context.Context) (*Server, error) {
	dir, err := os.MkdirTemp("", "invited-postgres-")
	if err != nil {
		return nil, err
	}
	standby := &Server{bin: s.bin, dir: dir, settings: s.settings}
	s.Stop(Fast) // the copy of a running server's files would not be of one moment
	err = standby.copyFrom(ctx, s)
	if err := errors.Join(err, s.Start(ctx)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if standby.port, err = freePort(ctx); err == nil {
		standby.URL = strings.Replace(s.URL, fmt.Sprintf(":%d/", s.port), fmt.Sprintf(":%d/", standby.port), 1)
		err = standby.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return standby, nil
}

func (s *Server) copyFrom(ctx context.Context, writer *Server) error {
	data := filepath.Join(s.dir, "data")
	if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(writer.dir, "data"), data).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w\n%s", err, out)
	}
	signal, settings := filepath.Join(data, "standby.signal"), filepath.Join(data, "postgresql.auto.conf")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return err
	}
	connect := fmt.Sprintf("primary_conninfo = '%s'\n", strings.Replace(writer.URL, "/postgres?", "/?", 1))
	if err := os.WriteFile(settings, []byte(connect), 0o600); err != nil {
		return err
	}
	return dropRoot(&exec.Cmd{}, s.dir, signal, settings)
}
