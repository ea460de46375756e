package app

import (
	"context"
	"time"
)

// saveTimeout limits a write of which tokens were used, so that a database that is away holds up no shutdown.
const saveTimeout = 5 * time.Second

// startSaving saves which tokens were used, again and again until finishSaving.
func (a *App) startSaving() {
	stop, ended := make(chan struct{}), make(chan struct{})
	a.stopSaving = func() {
		close(stop)
		<-ended
	}
	go func() {
		defer close(ended)
		ticker := time.NewTicker(a.options.SaveTokenUses)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				a.saveTokenUses()
			case <-stop:
				return
			}
		}
	}()
}

// finishSaving ends what startSaving began, and saves what is left.
func (a *App) finishSaving() {
	a.stopSaving()
	a.saveTokenUses()
}

// saveTokenUses logs an error and does not return it: nothing depends on the last use of a token.
func (a *App) saveTokenUses() {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if err := a.tokenUses.Save(ctx); err != nil {
		a.logger.WarnContext(ctx, "the last uses of tokens were not saved", "error", err)
	}
}
