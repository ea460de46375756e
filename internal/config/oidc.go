package config

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// OIDC is the part of Config that says which issuers of OpenID Connect people may sign in with: one by variables, others in
// a file. See [Config.LoadIssuers].
type OIDC struct {
	// OIDCIssuer is the URL of an issuer, exactly as it stands in the issuer's tokens: https, or http on this machine.
	// Default: none.
	OIDCIssuer string `env:"OIDC_ISSUER"`

	// OIDCClientID is the client's ID at OIDCIssuer. It is required with it. Default: none.
	OIDCClientID string `env:"OIDC_CLIENT_ID"`

	// OIDCClientSecret is the client's secret at OIDCIssuer. Default: none; the client is public.
	OIDCClientSecret Secret `env:"OIDC_CLIENT_SECRET"`

	// OIDCName is the name of the issuer on the button. Default: the host of OIDCIssuer.
	OIDCName string `env:"OIDC_NAME"`

	// OIDCScopes are the scopes that are asked for, separated by spaces. Default: openid email profile.
	OIDCScopes string `env:"OIDC_SCOPES" envDefault:"openid email profile"`

	// OIDCAudiences are the audiences of access tokens that the API takes. Default: OIDCClientID.
	OIDCAudiences []string `env:"OIDC_AUDIENCES"`

	// OIDCCAFile is a file of certificates, in PEM, that the issuer's certificate may come from. Default: none; the
	// system's.
	OIDCCAFile string `env:"OIDC_CA_FILE"`

	// OIDCFile is a YAML file with a list of issuers. Default: none.
	OIDCFile string `env:"OIDC_FILE"`
}

// Issuer is an issuer of OpenID Connect.
type Issuer struct {
	ID             string // a path segment of its callback
	URL            string
	ClientID       string
	ClientSecret   Secret
	Name           string
	Scopes         []string
	Audiences      []string
	CA             *x509.CertPool // nil: the system's
	Claims         IssuerClaims
	EmailTrusted   bool
	StaffGroups    []string
	AcceptIDTokens bool
}

// IssuerClaims are the names of claims; "" for the usual one.
type IssuerClaims struct{ Email, Username, FullName, CivilNumber, Groups string }

// variableIssuerID is the ID of the issuer by variables.
const variableIssuerID = "oidc"

// checkOIDC returns the first variable that is wrong, and why.
func (o OIDC) checkOIDC() (variable string, err error) {
	switch {
	case o.OIDCIssuer == "" && o.OIDCClientID != "":
		return "OIDC_CLIENT_ID", fmt.Errorf("set, but %sOIDC_ISSUER is empty: set both", prefix)
	case o.OIDCIssuer == "":
		return "", nil
	case o.OIDCClientID == "":
		return "OIDC_ISSUER", fmt.Errorf("set, but %sOIDC_CLIENT_ID is empty: set the ID of the client that you registered at the issuer", prefix)
	case !slices.Contains(strings.Fields(o.OIDCScopes), "openid"):
		return "OIDC_SCOPES", errors.New("does not have the scope openid, without which nobody signs in")
	}
	_, err = issuerHost(o.OIDCIssuer)
	return "OIDC_ISSUER", err
}

// issuerHost returns the host of an issuer's URL.
func issuerHost(address string) (string, error) {
	u, err := url.Parse(address)
	if err == nil && u.User == nil && u.Hostname() != "" && !strings.ContainsAny(address, "?#") {
		ip := net.ParseIP(u.Hostname())
		local := u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
		if u.Scheme == "https" || u.Scheme == "http" && local {
			return u.Host, nil
		}
	}
	return "", errors.New("not an https URL without user, query and fragment, such as https://login.example.com/realms/main")
}

// LoadIssuers returns the issuers: that of the variables, then those of OIDCFile in their order. An error names the
// variable and, in the file, the line.
func (c Config) LoadIssuers() ([]Issuer, error) {
	var issuers []Issuer
	if c.OIDCIssuer != "" {
		host, err := issuerHost(c.OIDCIssuer)
		if err != nil {
			return nil, variableError("OIDC_ISSUER", "%w", err)
		}
		one := Issuer{
			ID: variableIssuerID, URL: c.OIDCIssuer, ClientID: c.OIDCClientID, ClientSecret: c.OIDCClientSecret, Name: c.OIDCName,
			Scopes: strings.Fields(c.OIDCScopes), Audiences: c.OIDCAudiences,
		}
		if one.Name == "" {
			one.Name = host
		}
		if one.CA, err = readCertificates(c.OIDCCAFile); err != nil {
			return nil, variableError("OIDC_CA_FILE", "%w", err)
		}
		issuers = append(issuers, one)
	}
	if c.OIDCFile == "" {
		return issuers, nil
	}
	content, err := os.ReadFile(c.OIDCFile)
	if err == nil {
		issuers, err = addIssuers(issuers, content)
	}
	if err != nil {
		return nil, variableError("OIDC_FILE", "%s: %w", c.OIDCFile, err)
	}
	return issuers, nil
}

// readCertificates returns the certificates in a PEM file; nil for no file.
func readCertificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// SMTPRoots returns the certificates in SMTPCAFile; nil for those of the system. The error names the variable.
func (c Config) SMTPRoots() (*x509.CertPool, error) {
	roots, err := readCertificates(c.SMTPCAFile)
	if err != nil {
		return nil, variableError("SMTP_CA_FILE", "%w", err)
	}
	return roots, nil
}

// issuerEntry is an entry of OIDCFile.
type issuerEntry struct {
	ID           string   `yaml:"id"`
	Issuer       string   `yaml:"issuer"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret string   `yaml:"client_secret"`
	Name         string   `yaml:"name"`
	Scopes       []string `yaml:"scopes"`
	Audiences    []string `yaml:"audiences"`
	CAFile       string   `yaml:"ca_file"`
	Claims       struct {
		Email       string `yaml:"email"`
		Username    string `yaml:"username"`
		FullName    string `yaml:"full_name"`
		CivilNumber string `yaml:"civil_number"`
		Groups      string `yaml:"groups"`
	} `yaml:"claims"`
	EmailTrusted   bool     `yaml:"email_trusted"`
	StaffGroups    []string `yaml:"staff_groups"`
	AcceptIDTokens bool     `yaml:"accept_id_tokens"`
}

// addIssuers returns issuers together with those of a file.
func addIssuers(issuers []Issuer, content []byte) ([]Issuer, error) {
	var strict []issuerEntry
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&strict); err != nil {
		return nil, errors.New(fileProblem(err))
	}
	var lines []yaml.Node // again, for the line of each entry
	if err := yaml.Unmarshal(content, &lines); err != nil {
		return nil, errors.New(fileProblem(err))
	}
	for n, entry := range strict {
		issuer, err := entry.issuer()
		for _, other := range issuers {
			if err == nil && other.ID == issuer.ID {
				err = fmt.Errorf("there is another issuer with the id %s", issuer.ID)
			}
			if err == nil && other.URL == issuer.URL {
				err = fmt.Errorf("there is another entry for the issuer %s", issuer.URL)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[n].Line, err)
		}
		issuers = append(issuers, issuer)
	}
	return issuers, nil
}

// secretText matches what the YAML library quotes of a value in an error: it may be a secret.
var secretText = regexp.MustCompile("`[^`]*`")

// fileProblem returns an error of the YAML library on one line, without values.
func fileProblem(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n")
	text = strings.ReplaceAll(secretText.ReplaceAllString(text, "a value"), " in type config.issuerEntry", "")
	return strings.Join(strings.Fields(text), " ")
}

var issuerID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// reservedIDs are path segments that have another meaning where an issuer's ID stands.
var reservedIDs = []string{"code", "mail", "token-exchange"}

// issuer returns the issuer of an entry, or the first thing that is wrong with it.
func (e issuerEntry) issuer() (Issuer, error) {
	host, err := issuerHost(e.Issuer)
	switch {
	case !issuerID.MatchString(e.ID) || len(e.ID) > 40 || slices.Contains(reservedIDs, e.ID):
		return Issuer{}, errors.New("id is missing or wrong: use up to 40 of a to z, 0 to 9 and -, and not " +
			strings.Join(reservedIDs, ", ") +
			"; the callbacks that you register are sign-in/ID/callback/ and, for a front end, api-auth/ID/complete/")
	case err != nil:
		return Issuer{}, fmt.Errorf("issuer is %w", err)
	case e.ClientID == "":
		return Issuer{}, errors.New("client_id is missing")
	}
	if e.Name == "" {
		e.Name = host
	}
	if len(e.Scopes) == 0 {
		e.Scopes = []string{"openid", "email", "profile"}
	}
	if !slices.Contains(e.Scopes, "openid") {
		return Issuer{}, errors.New("scopes does not have openid, without which nobody signs in")
	}
	if slices.Contains(e.Audiences, "") || slices.Contains(e.StaffGroups, "") {
		return Issuer{}, errors.New("audiences or staff_groups has an empty text")
	}
	authorities, err := readCertificates(e.CAFile)
	if err != nil {
		return Issuer{}, fmt.Errorf("ca_file: %w", err)
	}
	return Issuer{
		ID: e.ID, URL: e.Issuer, ClientID: e.ClientID, ClientSecret: Secret(e.ClientSecret), Name: e.Name, Scopes: e.Scopes,
		Audiences: e.Audiences, CA: authorities, Claims: IssuerClaims(e.Claims), EmailTrusted: e.EmailTrusted,
		StaffGroups: e.StaffGroups, AcceptIDTokens: e.AcceptIDTokens,
	}, nil
}
