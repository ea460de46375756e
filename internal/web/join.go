package web

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
	"invited/internal/joining"
)

// joinPrefix begins the path of every join link.
const joinPrefix = "/user-group-invitation/"

func joinPath(id uuid.UUID) string { return joinPrefix + id.String() + "/" }

// joinStanding names how a user stands to a join link. The page has its words for each.
type joinStanding string

const (
	joinReady   joinStanding = "ready"
	joinAsked   joinStanding = "asked"   // a request of the user waits
	joinIn      joinStanding = "in"      // the user has what is offered
	joinEnded   joinStanding = "ended"   // the link is not active
	joinAddress joinStanding = "address" // it is meant for others
	joinRefused joinStanding = "refused" // another rule forbids it: joinPage.Why
)

// joinRefusals has what people read for each refusal that no joinStanding of its own says.
var joinRefusals = map[joining.Refusal]string{
	joining.RefusedSecond:                 "You have another role there, and nobody can have two.",
	joining.RefusedBy(directory.Customer): "Your address is not one of those that the organization admits.",
	joining.RefusedBy(directory.Project):  "Your address is not one of those that the project admits.",
	joining.RefusedManager:                "The project has a manager, and can have one only.",
	joining.RefusedRole:                   "The role that it offers is not given any more.",
	joining.RefusedName:                   "The organization has a project of this name already. Choose another name.",
}

// joinRefusal returns a refusal as people read it.
func joinRefusal(why joining.Refusal) string {
	if words := joinRefusals[why]; words != "" {
		return words
	}
	return string(why)
}

// The fields of the form of a join link.
const (
	fieldProjectName        = "project_name"
	fieldProjectDescription = "project_description"
)

// joinPage is the content of the page of a join link.
type joinPage struct {
	joining.LinkView
	Role         directory.Role // that one gets
	Path         string         // of the page, below the base
	Standing     joinStanding
	Creator      string // empty: the reader may not know, or nobody knows any more
	Kind         string // of the scope
	Organization string // empty where it is the scope itself
	Why          string // of joinRefused
	Waiting      []requestView
	Newest       *requestView // the newest decided one; nil: there is none
	Name         string       // as it was typed
	Description  string
	Problems     map[string]string // by field; "" has the problem that belongs to no single field
}

// AsksDetails reports whether the form asks for the name and the description of the project.
func (p joinPage) AsksDetails() bool { return p.MakesProjects && p.CustomDetails }

// Failed reports whether the form was refused.
func (p joinPage) Failed() bool { return len(p.Problems) > 0 }

// AskedHere reports whether a request by this link waits, and not only one by another link of the same place.
func (p joinPage) AskedHere() bool {
	return slices.ContainsFunc(p.Waiting, func(r requestView) bool { return r.GroupInvitationUUID == p.UUID })
}

// Again reports whether the user has asked by this link before.
func (p joinPage) Again() bool { return p.Newest != nil || p.AskedHere() }

// MaxName returns the length of the longest name of a project, in characters.
func (joinPage) MaxName() int { return joining.MaxProjectName }

// MaxDescription returns the length of the longest description, in characters.
func (joinPage) MaxDescription() int { return joining.MaxProjectDescription }

// requestView is a permission request as pages show it.
type requestView struct {
	joining.Request
	Role         directory.Role // that an approval grants
	Scope        directory.Scope
	Kind         string
	Organization string
	Link         string // the path of the join link, below the base
	Project      string // in which an approval grants the role; empty: in the scope
}

// MakesProjects reports whether an approval grants a role in a project that it may make.
func (r requestView) MakesProjects() bool { return r.Group.MakesProjects }

func newRequestView(r joining.Request) requestView {
	return requestView{
		Request: r, Role: r.Group.Granted(), Scope: r.Group.Scope, Kind: scopeKind(r.Group.Scope.Type),
		Organization: organizationOf(r.Group.Scope), Link: strings.TrimPrefix(joinPath(r.GroupInvitationUUID), "/"), Project: r.GrantedProject(),
	}
}

// AtOnce reports whether the join link approved the request by itself.
func (r requestView) AtOnce() bool {
	return r.State == joining.Approved && r.ReviewedByUUID != nil && *r.ReviewedByUUID == r.CreatedByUUID
}

// StateWord returns the state as people call it.
func (r requestView) StateWord() string { return requestWords[r.State] }

// requestWords are the states of requests as people call them.
var requestWords = map[joining.State]string{
	joining.Pending: "Waits for approval", joining.Approved: "Approved", joining.Rejected: "Rejected", joining.Canceled: "Taken back",
}

// joinLink is the page of a join link.
func (p *pages) joinLink(r *request) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return r.joinMissing()
	}
	if r.user == nil {
		return p.joinStranger(r, id)
	}
	return p.showJoin(r, http.StatusOK, id, nil)
}

// joinSignIn is the content of the page of a join link for somebody who is not signed in.
type joinSignIn struct {
	signInForm
	Offer *joinPage // nil: the reader may not see it, or there is none
}

// joinStranger asks somebody to sign in. What a link offers is shown only where it is public: everybody else learns neither that
// nor whether there is such a link.
func (p *pages) joinStranger(r *request, id uuid.UUID) error {
	found, err := p.Joining.Retrieve(r.Context(), directory.Actor{}, id)
	if err != nil && !fault.Is(err, fault.KindNotFound) {
		return err
	}
	r.Form.Set("return_to", joinPath(id))
	out, title := joinSignIn{signInForm: r.signInForm("", "")}, "A link to join"
	if err == nil {
		offer := newJoinPage(joining.LinkView{View: found, AtOnce: found.AutoApprove})
		if out.Offer, title = &offer, "Ask to join "+found.Scope.Customer.Name; offer.AtOnce {
			title = "Join " + found.Scope.Customer.Name
		}
	}
	return r.render(http.StatusOK, "join-sign-in", title, out)
}

// whoSignsIn says who can sign in at all, to somebody who came by a join link: the link is addressed to nobody, and so it is no
// invitation by which signing in makes a user (see identity.CreateUsers). It returns "" for those who go anywhere else
// afterwards.
func (p *pages) whoSignsIn(returnTo string) string {
	if !strings.HasPrefix(returnTo, joinPrefix) {
		return ""
	}
	switch p.Identity.Create {
	case identity.CreateAny:
		return "You need no account: you get one when you sign in."
	case identity.CreateInvited:
		return "You need an account here, or an invitation to your address. If you have neither, ask whoever gave you the link to invite you."
	default:
		return "You need an account here. If you have none, ask the people who run this site."
	}
}

func newJoinPage(link joining.LinkView) joinPage {
	out := joinPage{
		LinkView: link, Role: link.Granted(), Path: strings.TrimPrefix(joinPath(link.UUID), "/"), Kind: scopeKind(link.Scope.Type),
		Organization: organizationOf(link.Scope),
	}
	if link.ShowsCreator && link.CreatedBy != nil {
		out.Creator = link.CreatedBy.DisplayName()
	}
	for _, each := range link.Pending {
		out.Waiting = append(out.Waiting, newRequestView(each))
	}
	if link.Last != nil && link.Last.State != joining.Pending {
		newest := newRequestView(*link.Last)
		out.Newest = &newest
	}
	switch link.Refusal {
	case "":
		out.Standing = joinReady
	case joining.RefusedHeld:
		out.Standing = joinIn
	case joining.RefusedRequested:
		if out.Standing = joinIn; len(out.Waiting) > 0 {
			out.Standing = joinAsked
		}
	case joining.RefusedInactive:
		switch {
		case out.AskedHere():
			out.Standing = joinAsked
		case out.Joined:
			out.Standing = joinIn
		default:
			out.Standing = joinEnded
		}
	case joining.RefusedNotMeant:
		out.Standing = joinAddress
	default:
		out.Standing, out.Why = joinRefused, joinRefusal(link.Refusal)
	}
	return out
}

// showJoin answers with the page of a join link for the user. change is called before the page is rendered; nil: nothing is
// to be changed.
func (p *pages) showJoin(r *request, status int, id uuid.UUID, change func(*joinPage)) error {
	link, err := p.Joining.ViewLink(r.Context(), r.user.Actor, id)
	if fault.Is(err, fault.KindNotFound) {
		return r.joinMissing()
	} else if err != nil {
		return err
	}
	page := newJoinPage(link)
	if change != nil {
		change(&page)
	}
	return r.render(status, "join", joinHeading(page), page)
}

// joinMissing answers for a link that leads nowhere.
func (r *request) joinMissing() error {
	m := message{"This link is not valid", "It may be misspelled, or what it led to was deleted. Ask whoever gave you the link."}
	return r.render(http.StatusNotFound, "message", m.Heading, m)
}

// joinHeading returns the heading of the page of a join link.
func joinHeading(page joinPage) string {
	switch page.Standing {
	case joinReady:
		if page.AtOnce {
			return "You can join"
		}
		return "You can ask to join"
	case joinAsked:
		return "Your request waits for approval"
	case joinIn:
		if page.Joined {
			return "You are in"
		}
		return "You have this role already"
	case joinEnded:
		if page.NotCanceled && page.Expires != nil && !page.Scope.Removed() {
			return "This link has expired"
		}
		return "This link does not work any more"
	case joinAddress:
		return "This link is not for this account"
	default:
		return "You can’t join now"
	}
}

// join asks for what a join link offers. The page of the link says afterwards how it stands.
func (p *pages) join(r *request) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return r.joinMissing()
	}
	if r.user == nil {
		return r.redirect(joinPath(id))
	}
	name := directory.Trim(r.PostFormValue(fieldProjectName))
	description := trimLines(r.PostFormValue(fieldProjectDescription))
	problems := detailProblems(name, description)
	status := http.StatusBadRequest
	if len(problems) == 0 {
		_, err := p.Joining.Submit(r.Context(), r.user.Actor, id, name, description)
		if err == nil {
			return r.redirect(joinPath(id))
		}
		if problems = submitProblems(err); problems == nil {
			return err
		}
		var f *fault.Error
		if fault.Is(err, fault.KindThrottled) && errors.As(err, &f) {
			status = http.StatusTooManyRequests
			r.w.Header().Set("Retry-After", strconv.Itoa(int(f.Wait.Seconds())))
		}
	}
	return p.showJoin(r, status, id, func(page *joinPage) {
		page.Name, page.Description = name, description
		switch {
		case page.Standing != joinReady: // the standing says it
		case page.AsksDetails():
			page.Problems = problems
		case problems[fieldProjectName] == joinRefusal(joining.RefusedName): // and the user may not choose another name
			page.Problems = map[string]string{"": "The organization has a project of this name already, to which the link does not lead. Ask whoever gave you the link."}
		default: // there are no fields
			page.Problems = map[string]string{"": strings.Join(slices.Sorted(maps.Values(problems)), " ")}
		}
	})
}

// detailProblems returns what is wrong with the details of a project, by field. The contract bounds them in the API alike.
func detailProblems(name, description string) map[string]string {
	problems := map[string]string{}
	if wrong := textProblem(name, joining.MaxProjectName, "name", ""); wrong != "" {
		problems[fieldProjectName] = wrong
	} else if directory.HasInvisible(name) {
		problems[fieldProjectName] = "The name has characters that can’t be shown. Type it again."
	}
	if wrong := textProblem(description, joining.MaxProjectDescription, "description", "\t\n"); wrong != "" {
		problems[fieldProjectDescription] = wrong
	}
	return problems
}

// submitProblems returns why asking was refused, by field; nil for an error that is no refusal, and for a link that leads
// nowhere.
func submitProblems(err error) map[string]string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return nil
	}
	switch f.Kind {
	case fault.KindThrottled:
		return map[string]string{"": "You have asked too often. Wait " + inWords(f.Wait) + ", and ask again."}
	case fault.KindInvalid:
		if len(f.Fields[fieldProjectName]) > 0 {
			return map[string]string{fieldProjectName: strings.Join(f.Fields[fieldProjectName], " ")}
		}
		return map[string]string{"": refusal(err)}
	case fault.KindRejected:
		why := joining.Refusal(f.Message)
		if why == joining.RefusedName {
			return map[string]string{fieldProjectName: joinRefusal(why)}
		}
		return map[string]string{"": joinRefusal(why)}
	default:
		return nil
	}
}

// takeBack takes one of the user's requests back. Where somebody was faster, the page that the browser goes back to says how it
// was decided.
func (p *pages) takeBack(r *request) error {
	if r.user == nil {
		return r.redirectWithReturn("/sign-in/")
	}
	var err error = fault.NotFound()
	if id, ok := directory.ParseUUID(r.PathValue("uuid")); ok {
		_, err = p.Joining.CancelRequest(r.Context(), r.user.Actor, id)
	}
	switch {
	case fault.Is(err, fault.KindNotFound):
		m := message{"This request does not exist any more", "Nothing was changed. The first page has your own requests."}
		return r.render(http.StatusNotFound, "message", m.Heading, m)
	case err != nil && !fault.Is(err, fault.KindRejected):
		return err
	}
	return r.redirect(r.returnTo())
}

const (
	maxOwnWaiting = 50 // requests of one's own that wait, on the first page
	maxOwnDecided = 10 // others
)

// ownRequests returns the user's own requests: those that wait, and then the newest of the others.
func (r *request) ownRequests() (all []requestView, err error) {
	for _, part := range []struct {
		states []joining.State
		size   int
	}{
		{[]joining.State{joining.Pending}, maxOwnWaiting},
		{[]joining.State{joining.Approved, joining.Rejected, joining.Canceled}, maxOwnDecided},
	} {
		found, _, err := r.page.Joining.Requests(r.Context(), r.user.Actor, joining.RequestQuery{CreatedBy: &r.user.UUID, States: part.states}, 1, part.size)
		if err != nil {
			return nil, err
		}
		for _, each := range found {
			all = append(all, newRequestView(each))
		}
	}
	return all, nil
}
