package invitation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// BatchDraft is a Draft of a Batch. ScopeURL may be the uuid of a scope.
type BatchDraft struct {
	Draft
	// Wrong has the messages about fields that the contract refuses. Such a draft makes nothing; about its other fields it
	// gets the messages of CheckDraft.
	Wrong fault.Fields
}

// Verdict is the outcome of a draft of a Batch.
type Verdict int

// The verdicts.
const (
	DraftCreated   Verdict = iota + 1 // the invitation is made
	DraftSent                         // an open invitation is sent again
	DraftDuplicate                    // an invitation is open already
	DraftMember                       // a user with the address holds the role already
	DraftInvalid                      // a field is not valid
	DraftRefused                      // the caller may not invite there, or a rule or a limit forbids it
)

// DraftResult is the decision of a Batch about one draft.
type DraftResult struct {
	Verdict Verdict
	UUID    *uuid.UUID   // the invitation that is made or sent, or the open one in the way; nil: none
	Errors  fault.Fields // in the words of Create and Send; nil: none
}

// Batch decides about many drafts as Create would, one after the other: each draft finds the invitations of earlier drafts.
// What the decisions depend on is read for all drafts together, so that the number of statements does not grow with the
// number of drafts. Only an invitation that is sent again, and an expired one in the way, is read by itself. The zero Batch,
// with a Service, is ready.
type Batch struct {
	Service *Service
	// SendOpen: an open invitation that is pending is sent again, with the rules of Send.
	SendOpen bool
	// MadeBefore returns which of some open invitations an earlier batch of this bulk invitation made or sent. Those are not
	// sent again. Nil: this is the first batch.
	MadeBefore func([]uuid.UUID) (map[uuid.UUID]bool, error)
	// Admissions has answers from before Decide runs. Decide returns the results up to the first draft that needs another one
	// that takes long to find.
	Admissions *Admissions

	// What Decide has decided in this batch. A dry run decides about several slices of drafts with one Batch, and nothing is
	// written between them.
	made    map[Target]Invitation
	sent    map[uuid.UUID]bool
	mails   map[string]int // made or sent, by address (folded)
	count   int            // made
	unasked bool           // something waits for staff, and there is nobody to tell
}

// Target identifies an open invitation: at most one is open for an address, a role and a scope.
type Target struct {
	Email       string // folded
	Role, Scope uuid.UUID
}

// BatchTx reads for a Batch. Each method takes any number of values in one statement.
type BatchTx interface {
	Tx

	// FindTargetScopes returns the scopes with these UUIDs that are not removed, with their customers and the e-mail patterns of
	// both.
	FindTargetScopes(ids []uuid.UUID) ([]directory.Scope, error)
	// FindRoles returns the roles with these UUIDs or names, with their permissions.
	FindRoles(ids []uuid.UUID, names []string) ([]directory.Role, error)
	// FindOpenTargets returns the invitations whose stored state is open for the targets, without the rows of other tables.
	FindOpenTargets(targets []Target) ([]Invitation, error)
	// FindHeldTargets returns the targets whose role an active user with the address holds in the scope.
	FindHeldTargets(targets []Target) ([]Target, error)
	// ScopesWithMember returns those of some scopes in which any user holds a role of this name.
	ScopesWithMember(scopes []uuid.UUID, roleName string) ([]uuid.UUID, error)
	// RecipientTimes returns the times of the events since a time that a Quota of each recipient (folded) counts, the newest
	// first.
	RecipientTimes(recipients []string, since time.Time) (map[string][]time.Time, error)
	// InviterTimes returns the times of the events that a Quota of the inviter counts, the newest first, of a window.
	InviterTimes(inviter uuid.UUID, w directory.Window) ([]time.Time, error)
}

// Decide returns the results of drafts, in their order, and the changes to write. Fewer results than drafts: the next draft
// needs an answer of Admissions. Decide returns fault.KindUnauthenticated as every use case does.
func (b *Batch) Decide(tx BatchTx, caller directory.Actor, drafts []BatchDraft) (results []DraftResult, changes []Change, err error) {
	actor, err := directory.Refresh(tx.FindActor, caller)
	if err != nil {
		return nil, nil, err
	}
	facts, err := b.read(tx, actor, drafts)
	if err != nil {
		return nil, nil, err
	}
	for i, d := range drafts {
		result, made, err := b.decide(facts, d, facts.aims[i])
		if errors.Is(err, errUnanswered) {
			b.Admissions.askFor(facts, drafts[i:])
			break
		}
		if err != nil {
			return nil, nil, err
		}
		results, changes = append(results, result), append(changes, made...)
	}
	return results, changes, nil
}

// Warn logs what the operator has to know of a batch that was written.
func (b *Batch) Warn(ctx context.Context) {
	if b.unasked {
		b.Service.warnUnasked(ctx, "a request to approve an invitation")
	}
}

// decide decides about one draft. The error is not about the draft.
func (b *Batch) decide(f *batchFacts, d BatchDraft, a aim) (DraftResult, []Change, error) {
	switch err := f.checkAim(d, a); {
	case fault.Is(err, fault.KindInvalid):
		return refusedAs(DraftInvalid, err)
	case err != nil:
		return refusedAs(DraftRefused, err)
	}
	s, target := b.Service, a.target(d.Email)
	if err := s.checkCeiling(f, f.actor, a.role.UUID, a.scope); err != nil {
		return refusedAs(DraftRefused, err)
	}
	if f.held[target] {
		return DraftResult{Verdict: DraftMember, Errors: fault.Fields{"email": {string(RefusedHeld)}}}, nil, nil
	}
	c, err := s.decideCreation(f, b.Admissions.find, f.actor, d.Draft, a.scope, a.role, true)
	switch {
	case c.rival != nil:
		return b.decideOpen(f, target, *c.rival, err)
	case err != nil:
		return refusedAs(DraftRefused, err)
	}
	made := c.made
	lowerPriority(c.changes)
	f.open[target], b.made[target] = made, made
	b.count++
	b.countMails(c.changes)
	b.unasked = b.unasked || c.unasked
	return DraftResult{Verdict: DraftCreated, UUID: &made.UUID}, c.changes, nil
}

// decideOpen decides about a draft whose target another invitation is open for.
func (b *Batch) decideOpen(f *batchFacts, target Target, rival uuid.UUID, refusal error) (DraftResult, []Change, error) {
	isDuplicate := func() (DraftResult, []Change, error) {
		result, _, err := refusedAs(DraftDuplicate, refusal)
		result.UUID = &rival
		return result, nil, err
	}
	if !b.SendOpen || f.open[target].StoredState != Pending || b.sent[rival] || f.own[rival] {
		return isDuplicate()
	}
	if _, justMade := b.made[target]; justMade {
		return isDuplicate()
	}
	changes, unasked, err := b.Service.decideSend(f, b.Admissions.find, f.actor, rival)
	if err != nil {
		result, _, err := refusedAs(DraftRefused, refuseDuplicate(err))
		result.UUID = &rival
		return result, nil, err
	}
	b.sent[rival] = true
	lowerPriority(changes)
	b.countMails(changes)
	b.unasked = b.unasked || unasked
	return DraftResult{Verdict: DraftSent, UUID: &rival}, changes, nil
}

// lowerPriority lets mails of single invitations go out before those of a batch.
func lowerPriority(changes []Change) {
	for _, c := range changes {
		for i, job := range c.Jobs {
			if d, ok := job.(Deliver); ok {
				d.LowPriority = true
				c.Jobs[i] = d
			}
		}
	}
}

// countMails counts what the limits of later drafts have to count.
func (b *Batch) countMails(changes []Change) {
	for _, c := range changes {
		if c.Event != nil && c.Event.MailTo != nil {
			b.mails[*c.Event.MailTo]++
		}
	}
}

// refusedAs returns the result of a draft that was refused. An error that is no refusal is returned.
func refusedAs(v Verdict, err error) (DraftResult, []Change, error) {
	var refusal *fault.Error
	if !errors.As(err, &refusal) || refusal.Kind == fault.KindUnavailable {
		return DraftResult{}, nil, err
	}
	messages := fault.Fields(refusal.Fields)
	if refusal.Kind != fault.KindInvalid {
		messages = fault.Fields{fault.NonField: {refusal.Message}}
	}
	return DraftResult{Verdict: v, Errors: messages}, nil, nil
}

// aim is the scope and the role that a draft names. What is missing, and a scope that the actor does not see, has no UUID.
type aim struct {
	scope directory.Scope
	role  directory.Role
}

func (a aim) target(email string) Target {
	return Target{directory.FoldEmail(email), a.role.UUID, a.scope.UUID}
}

// checkAim is checkTarget, and CheckDraft for a draft that the contract refuses.
func (f *batchFacts) checkAim(d BatchDraft, a aim) error {
	policy := f.batch.Service.Policy
	if len(d.Wrong) == 0 {
		return policy.checkTarget(f.actor, d.Draft, a.scope, a.role, f.Now())
	}
	wrong := maps.Clone(d.Wrong)
	if a.scope.UUID != uuid.Nil && !f.actor.MayManage(a.scope) {
		return wrong.Err()
	}
	more := fault.Fields{}
	if d.ScopeURL != "" {
		checkScope(more, a.scope, d.ScopeURL)
	}
	if d.Role != uuid.Nil || d.RoleName != "" {
		checkRole(more, a.role, d.Draft)
	}
	CheckCivilNumber(more, d.CivilNumber)
	policy.checkEnds(more, Invitation{}, d.ends(a.scope, f.Now()), f.Now())
	for field, messages := range more {
		if len(wrong[field]) == 0 {
			wrong[field] = messages
		}
	}
	return wrong.Err()
}

// batchFacts answers what is asked about each draft of a batch from what was read for all of them. It is the Tx of the
// decisions that Create and Send make.
type batchFacts struct {
	BatchTx
	batch   *Batch
	actor   directory.Actor
	aims    []aim // of the drafts
	roles   map[uuid.UUID]directory.Role
	open    map[Target]Invitation
	held    map[Target]bool
	own     map[uuid.UUID]bool
	managed map[uuid.UUID]bool // projects that have a manager
	staff   *[]directory.User  // nil: not read yet
	actors  map[uuid.UUID]directory.Actor

	recipients map[string][]time.Time // see RecipientTimes
	inviter    []time.Time            // see InviterTimes
	inviterAt  directory.Window       // that inviter has
}

// read reads what the decisions about drafts depend on.
func (b *Batch) read(tx BatchTx, actor directory.Actor, drafts []BatchDraft) (*batchFacts, error) {
	if b.made == nil {
		b.made, b.sent, b.mails = map[Target]Invitation{}, map[uuid.UUID]bool{}, map[string]int{}
	}
	if b.Admissions == nil {
		b.Admissions = &Admissions{}
	}
	f := &batchFacts{
		BatchTx: tx, batch: b, actor: actor, aims: make([]aim, len(drafts)),
		roles: map[uuid.UUID]directory.Role{}, open: map[Target]Invitation{}, held: map[Target]bool{},
		managed: map[uuid.UUID]bool{}, actors: map[uuid.UUID]directory.Actor{actor.UUID: actor},
	}
	if err := f.readAims(drafts); err != nil {
		return nil, err
	}
	var targets []Target
	for i, d := range drafts {
		if f.checkAim(d, f.aims[i]) == nil {
			targets = append(targets, f.aims[i].target(d.Email))
		}
	}
	if len(targets) == 0 {
		return f, nil
	}
	return f, errors.Join(f.readTargets(targets), f.readManaged(), f.readQuotas(targets))
}

// readAims reads the scopes and the roles that drafts name.
func (f *batchFacts) readAims(drafts []BatchDraft) error {
	var scopeIDs, roleIDs []uuid.UUID
	var roleNames []string
	for _, d := range drafts {
		if _, id := parseScope(d.ScopeURL); id != uuid.Nil {
			scopeIDs = append(scopeIDs, id)
		}
		if d.Role != uuid.Nil {
			roleIDs = append(roleIDs, d.Role)
		} else if d.RoleName != "" && !strings.ContainsRune(d.RoleName, 0) { // no role has NUL in its name, and PostgreSQL refuses the text
			roleNames = append(roleNames, d.RoleName)
		}
	}
	found, err := f.FindTargetScopes(unique(scopeIDs))
	if err != nil {
		return err
	}
	scopes := make(map[uuid.UUID]directory.Scope, len(found))
	for _, each := range found {
		scopes[each.UUID] = seen(f.actor, each)
	}
	roles, err := f.FindRoles(unique(roleIDs), unique(roleNames))
	if err != nil {
		return err
	}
	byName := make(map[string]directory.Role, len(roles))
	for _, each := range roles {
		f.roles[each.UUID], byName[each.Name] = each, each
	}
	f.batch.Admissions.begin(scopes)
	for i, d := range drafts {
		kind, id := parseScope(d.ScopeURL)
		if scope := scopes[id]; kind == "" || kind == scope.Type {
			f.aims[i].scope = scope
		}
		if d.Role != uuid.Nil {
			f.aims[i].role = f.roles[d.Role]
		} else {
			f.aims[i].role = byName[d.RoleName]
		}
	}
	return nil
}

// parseScope returns the type and the uuid of the scope that a URL names, or the uuid and no type of one that is named by its
// uuid; uuid.Nil for any other text.
func parseScope(text string) (directory.ScopeType, uuid.UUID) {
	if id, ok := directory.ParseUUID(text); ok {
		return "", id
	}
	kind, id, _ := directory.ParseScopeURL(text)
	return kind, id
}

// unique returns the values without repetitions, in the order in which each is first.
func unique[Value comparable](values []Value) []Value {
	known := make(map[Value]bool, len(values))
	return slices.DeleteFunc(values, func(value Value) bool {
		if known[value] {
			return true
		}
		known[value] = true
		return false
	})
}

// readTargets reads what is open, and who holds a role already.
func (f *batchFacts) readTargets(targets []Target) error {
	targets = unique(slices.Clone(targets))
	scopes := map[uuid.UUID]directory.Scope{}
	for _, a := range f.aims {
		scopes[a.scope.UUID] = a.scope
	}
	found, err := f.FindOpenTargets(targets)
	if err != nil {
		return err
	}
	ids := make([]uuid.UUID, len(found))
	for i, each := range found {
		each.Scope, each.Role, ids[i] = scopes[each.ScopeUUID], f.roles[each.RoleUUID], each.UUID
		f.open[Target{each.EmailFolded, each.RoleUUID, each.ScopeUUID}] = each
	}
	for target, made := range f.batch.made { // of earlier slices of a dry run
		f.open[target] = made
	}
	if f.batch.MadeBefore != nil && f.batch.SendOpen && len(ids) > 0 {
		if f.own, err = f.batch.MadeBefore(ids); err != nil {
			return err
		}
	}
	held, err := f.FindHeldTargets(targets)
	for _, each := range held {
		f.held[each] = true
	}
	return err
}

// readManaged reads which projects have their one manager.
func (f *batchFacts) readManaged() error {
	var projects []uuid.UUID
	for _, a := range f.aims {
		if f.batch.Service.Policy.OneProjectManager && a.role.Name == directory.ProjectManager {
			projects = append(projects, a.scope.UUID)
		}
	}
	if len(projects) == 0 {
		return nil
	}
	found, err := f.ScopesWithMember(unique(projects), directory.ProjectManager)
	for _, each := range found {
		f.managed[each] = true
	}
	return err
}

// readQuotas reads what the limits count.
func (f *batchFacts) readQuotas(targets []Target) (err error) {
	policy := f.batch.Service.Policy
	if limit := policy.LimitRecipient; limit.Count > 0 {
		emails := make([]string, len(targets))
		for i, each := range targets {
			emails[i] = each.Email
		}
		if f.recipients, err = f.RecipientTimes(unique(emails), f.Now().Add(-limit.Per)); err != nil {
			return err
		}
	}
	if limit := policy.LimitInviter.For(f.actor.User); limit.Count > 0 {
		n := min(limit.Count, f.batch.count+len(targets))
		f.inviterAt = directory.Window{Offset: limit.Count - n, Limit: n}
		f.inviter, err = f.InviterTimes(f.actor.UUID, f.inviterAt)
	}
	return err
}

// FindActor implements Tx.
func (f *batchFacts) FindActor(id uuid.UUID) (directory.Actor, error) {
	if known, ok := f.actors[id]; ok {
		return known, nil
	}
	found, err := f.BatchTx.FindActor(id)
	if err == nil {
		f.actors[id] = found
	}
	return found, err
}

// FindRole implements Tx.
func (f *batchFacts) FindRole(id uuid.UUID) (directory.Role, error) {
	if known, ok := f.roles[id]; ok {
		return known, nil
	}
	return f.BatchTx.FindRole(id)
}

// HasMember implements Tx. Nothing but hasManager asks.
func (f *batchFacts) HasMember(scope uuid.UUID, _ string) (bool, error) { return f.managed[scope], nil }

// FindOpen implements Tx.
func (f *batchFacts) FindOpen(email string, role, scope uuid.UUID) (Invitation, error) {
	if found, ok := f.open[Target{email, role, scope}]; ok {
		return found, nil
	}
	return Invitation{}, fault.NotFound()
}

// ListStaffToNotify implements Tx.
func (f *batchFacts) ListStaffToNotify() ([]directory.User, error) {
	if f.staff == nil {
		found, err := f.BatchTx.ListStaffToNotify()
		if err != nil {
			return nil, err
		}
		f.staff = &found
	}
	return *f.staff, nil
}

// QuotaTimes implements Tx: what the batch has decided counts, and is newer than what was read.
func (f *batchFacts) QuotaTimes(quotas []Quota) ([]time.Time, error) {
	times := make([]time.Time, len(quotas))
	for i, q := range quotas {
		switch {
		case q.Recipient != "":
			times[i] = f.nth(q.Count, f.batch.mails[q.Recipient], f.recipients[q.Recipient], 0)
		case q.Inviter != uuid.Nil:
			times[i] = f.nth(q.Count, f.batch.count, f.inviter, f.inviterAt.Offset)
		default: // of one invitation, which a batch sends once
			found, err := f.BatchTx.QuotaTimes(quotas[i : i+1])
			if err != nil {
				return nil, err
			}
			times[i] = found[0]
		}
	}
	return times, nil
}

// nth returns the time of the nth newest event, or the zero time where there are fewer. The made newest events are the batch's
// own. others has older ones, newest first, without the first offset of them.
func (f *batchFacts) nth(n, made int, others []time.Time, offset int) time.Time {
	if made >= n {
		return f.Now()
	}
	if i := n - made - 1 - offset; i < len(others) {
		return others[i]
	}
	return time.Time{}
}
