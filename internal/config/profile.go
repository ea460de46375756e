package config

// The values of Config.Profile.
const (
	ProfileWaldur = "waldur" // as Waldur's API document says
	ProfileSecure = "secure" // for whoever starts fresh
)

// profileDefaults holds, for each profile, the defaults that differ from those of the fields of Config. The keys are
// variables without INVITED_ before them.
var profileDefaults = map[string]map[string]string{
	ProfileWaldur: {},
	ProfileSecure: {
		"INVITATION_LINK_SECRET":    "true",
		"VALIDATE_INVITATION_EMAIL": "true",
		"ROLE_CEILING":              "true",
		"RECHECK_INVITER":           "true",
		"RESTRICT_AUTO_APPROVE":     "true",
		"INVITATION_MAX_AGE":        "72h",
		"LIMIT_RECIPIENT":           "20/24h",
		"LIMIT_INVITER":             "200/1h",
	},
}

// setProfileDefaults sets the variables that are unset or empty to the defaults of the profile that vars names.
func setProfileDefaults(vars map[string]string) {
	for name, value := range profileDefaults[vars[prefix+"PROFILE"]] {
		if vars[prefix+name] == "" {
			vars[prefix+name] = value
		}
	}
}

// LeavesOpen returns what the policies let through, one phrase for each of the profiles' policies that is off.
func (p Policy) LeavesOpen() []string {
	var open []string
	for _, policy := range []struct {
		on     bool
		phrase string
	}{
		{p.InvitationLinkSecret, "who reads an invitation can accept it"},
		{p.ValidateInvitationEmail, "a user with another address can accept"},
		{p.RoleCeiling, "an inviter can offer more permissions than they hold"},
		{p.RecheckInviter, "invitations of users who lost their rights can be accepted"},
		{p.RestrictAutoApprove, "a link alone can admit whoever has it"},
		{p.LimitInviter != Limit{}, "one inviter can invite any number of addresses"},
	} {
		if !policy.on {
			open = append(open, policy.phrase)
		}
	}
	return open
}
