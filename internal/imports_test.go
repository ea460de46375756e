package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "invited"

// A ban is one rule about imports. Packages are import paths, ours without the module's name; each stands for the packages
// below it too. An importer may also be a single file.
type ban struct {
	who    []string // whom the rule binds; none: everybody
	except []string // whom the rule does not bind
	what   []string // what must not be imported
	but    []string // of what, the packages that may be imported all the same
	why    string
}

const ours = "ours" // any package of this module

// developerOnly are the packages that tests and developers use, and that are no part of the server.
var developerOnly = []string{"internal/signin/signintest", "internal/storetest", "internal/systemtest", "internal/tools"}

var bans = []ban{
	{
		who: []string{
			"internal/delivery", "internal/fault", "internal/memory", "internal/metrics", "internal/token", "internal/config", "internal/tracing", "migrations",
		},
		what: []string{ours},
		why:  "they stand at the bottom, where everything may import them",
	},
	{
		who: []string{"internal/mail", "internal/webhook"}, what: []string{ours}, but: []string{"internal/delivery", "internal/tracing"},
		why: "they send values, and know neither rules nor rows",
	},
	{
		who: []string{"internal/doctor"}, what: []string{ours}, but: []string{"internal/database", "internal/delivery", "internal/mail"},
		why: "it judges values, and asks other servers",
	},
	{
		who: []string{"internal/database"}, what: []string{ours}, but: []string{"internal/fault", "migrations"},
		why: "it knows the engines, and no table of ours",
	},
	{
		who: []string{"internal/directory"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/memory", "internal/token"},
		why: "imports run one way: users and scopes exist without invitations and without a database",
	},
	{
		who: []string{"internal/invitation"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/token"},
		why: "imports run one way: the rules declare what they need of a database, and others satisfy it",
	},
	{
		who: []string{"internal/joining"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/invitation"},
		why: "imports run one way: links that anybody can use know of invitations to one person, and not the other way round",
	},
	{
		who: []string{"internal/bulk"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/invitation"},
		why: "imports run one way: many invitations are made by the rules of one, and not the other way round",
	},
	{
		who: []string{"internal/lifecycle"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/invitation"},
		why: "imports run one way: invitations don't know who is told of them",
	},
	{
		who: []string{"internal/person"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/invitation", "internal/joining"},
		why: "imports run one way: who asks what is kept of them knows of invitations, and not the other way round",
	},
	{
		who: []string{"internal/waldur"}, what: []string{ours},
		but: []string{"internal/directory", "internal/invitation", "internal/joining", "internal/token"},
		why: "imports run one way: what Waldur's rows mean here does not depend on how ours are stored",
	},
	{
		who: []string{"internal/signin"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/identity"},
		why: "imports run one way: how a person proves who they are has nothing to do with pages and rows",
	},
	{
		who: []string{"internal/identity"}, what: []string{ours},
		but: []string{"internal/directory", "internal/fault", "internal/token"},
		why: "imports run one way: who a person is does not depend on the rules of invitations",
	},
	{
		who: []string{"internal/idempotency"}, what: []string{ours}, but: []string{"internal/fault", "internal/token"},
		why: "a request has one effect, whatever it does",
	},
	{
		who: []string{"internal/store"}, what: []string{ours},
		but: []string{
			"internal/bulk", "internal/database", "internal/directory", "internal/fault", "internal/idempotency", "internal/identity",
			"internal/invitation", "internal/joining", "internal/lifecycle", "internal/person", "internal/tracing", "internal/waldur",
		},
		why: "imports run one way: the store serves the rules and knows nobody who calls them",
	},
	{
		who: []string{"internal/jobs"}, what: []string{ours},
		but: []string{
			"internal/bulk", "internal/delivery", "internal/idempotency", "internal/identity", "internal/invitation",
			"internal/joining", "internal/lifecycle", "internal/mail", "internal/tracing", "internal/webhook",
		},
		why: "a worker calls a use case, which makes its own changes, and sends what the use case returns",
	},
	{
		who: []string{"internal/api"}, what: []string{ours},
		but: []string{
			"gen/server", "internal/bulk", "internal/directory", "internal/fault", "internal/idempotency", "internal/identity",
			"internal/invitation", "internal/joining", "internal/lifecycle", "internal/memory", "internal/signin",
		},
		why: "a handler calls a use case, which makes its own changes",
	},
	{
		who: []string{"internal/invite"}, what: []string{ours}, but: []string{"gen/client", "internal/bulk", "internal/fault"},
		why: "it is a client of the API, and runs where there is no database",
	},
	{
		who: []string{"internal/web"}, what: []string{ours},
		but: []string{
			"internal/bulk", "internal/directory", "internal/fault", "internal/identity", "internal/invitation", "internal/joining",
			"internal/signin",
		},
		why: "a page calls the same use cases as the API, and neither knows the other",
	},
	{
		except: append([]string{"internal/signin"}, developerOnly...),
		what:   []string{"github.com/coreos/go-oidc", "github.com/go-jose/go-jose"},
		why:    "tokens of others are read and checked in one place",
	},
	{
		except: append([]string{"internal/signin", "internal/webhook"}, developerOnly...), what: []string{"golang.org/x/oauth2"},
		why: "signing in and the webhook are the two clients of OAuth",
	},
	{
		except: append([]string{"internal/tracing"}, developerOnly...), what: []string{"go.opentelemetry.io"},
		why: "spans are made by one package, which knows what must not be in them",
	},
	{
		who: []string{"cmd"}, what: []string{ours}, but: []string{"internal/app"},
		why: "main is a thin shell over the program",
	},
	{
		who: []string{"gen"}, what: []string{ours}, but: []string{"gen"},
		why: "the contract knows nothing of the server",
	},
	{
		except: append([]string{"internal/app"}, developerOnly...), what: []string{"internal/config"},
		why: "packages take values, and the program hands them out",
	},
	{
		except: append([]string{"cmd", "internal/app"}, developerOnly...), what: []string{"internal/app"},
		why: "only the program puts its parts together",
	},
	{
		except: append([]string{"internal/app", "internal/directory/dirfile"}, developerOnly...), what: []string{"internal/directory/dirfile"},
		why: "the file is one way to fill the directory, and the rules don't know it",
	},
	{
		except: append([]string{"internal/app", "internal/store"}, developerOnly...), what: []string{"internal/waldur"},
		why: "it is one way to fill the database, and nothing that serves depends on it",
	},
	{
		except: developerOnly, what: developerOnly,
		why: "they are for tests and developers, and no part of the server",
	},
	{
		except: append([]string{"internal/database", "internal/store"}, developerOnly...), what: []string{"gorm.io"},
		why: "a struct tag needs no import, and statements have one home",
	},
	{
		except: append([]string{"internal/database"}, developerOnly...),
		what:   []string{"gorm.io/driver", "github.com/jackc/pgx", "github.com/ncruces/go-sqlite3"},
		why:    "what differs between the engines has one home",
	},
	{
		except: append([]string{"internal/api", "gen/server"}, developerOnly...),
		what:   []string{"github.com/labstack/echo", "github.com/getkin/kin-openapi"},
		why:    "HTTP and its validation have one home",
	},
	{
		except: append([]string{"internal/jobs/river.go", "internal/store/queue.go"}, developerOnly...),
		what:   []string{"github.com/riverqueue/river"},
		why:    "the job queue's library is known to one file on each side of the queue",
	},
}

// A pkg holds the parts of a package that the rules read. Test files are not part of it.
type pkg struct {
	path    string // without the module
	name    string
	doc     string
	docFile string
	imports []importing
	calls   []string // of package os, those that read the environment
}

// importing is the import of a package by a file.
type importing struct{ file, path string }

// Files are parsed rather than asked of the go command, so that those for other systems are judged too.
func TestPackagesKeepTheRules(t *testing.T) {
	t.Parallel()

	pkgs := parsePackages(t, "..")
	require.NotEmpty(t, pkgs)
	for _, p := range pkgs {
		for _, broken := range problems(p) {
			t.Error(broken)
		}
	}
}

func problems(p pkg) []string {
	var found []string
	note := func(format string, args ...any) {
		found = append(found, p.path+": "+fmt.Sprintf(format, args...))
	}
	for _, b := range bans {
		if b.who != nil && !under(p.path, b.who) {
			continue
		}
		for _, each := range p.imports {
			if under(each.path, b.what) && !under(each.path, b.but) && !under(path.Join(p.path, each.file), b.except) {
				note("must not import %s: %s", each.path, b.why)
			}
		}
	}

	tool := p.name == "main" && under(p.path, []string{"internal"})
	for _, call := range p.calls {
		// main passes its environment to config as a whole; tests and tools ask where their server is.
		if p.path != "internal/config" && !under(p.path, developerOnly) && !tool && (p.name != "main" || call != "Environ") {
			note("must not call os.%s: the environment is read by internal/config, where it is documented", call)
		}
	}

	switch {
	case p.doc == "":
		note("has no package comment: say what it owns and what it doesn't")
	case p.name == "main" && !strings.HasPrefix(p.doc, "Command "+path.Base(p.path)+" "):
		note("its comment must begin with %q", "Command "+path.Base(p.path)+" ")
	case p.name != "main" && !strings.HasPrefix(p.doc, "Package "+p.name+" "):
		note("its comment must begin with %q", "Package "+p.name+" ")
	case p.name != "main" && strings.HasPrefix(p.path, "internal/") && p.docFile != "doc.go":
		note("its comment stands in %s: a reader looks for doc.go", p.docFile)
	}
	return found
}

func under(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		if root == ours {
			return isOurs(path)
		}
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

func isOurs(path string) bool {
	return under(path, []string{"cmd", "gen", "internal", "migrations"})
}

func parsePackages(t *testing.T, root string) []pkg {
	t.Helper()
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"build", "data", "testdata"}, name)):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		if byDir[dir] == nil {
			byDir[dir] = &pkg{path: filepath.ToSlash(dir)}
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return byDir[dir].add(name, source)
	})
	require.NoError(t, err)

	var pkgs []pkg
	for _, p := range byDir {
		pkgs = append(pkgs, *p)
	}
	slices.SortFunc(pkgs, func(a, b pkg) int { return strings.Compare(a.path, b.path) })
	return pkgs
}

func (p *pkg) add(name string, source []byte) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	p.name = file.Name.Name
	if file.Doc.Text() != "" {
		p.doc, p.docFile = file.Doc.Text(), name
	}
	osName := ""
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		p.imports = append(p.imports, importing{name, strings.TrimPrefix(imported, module+"/")})
		if imported == "os" {
			osName = "os"
			if spec.Name != nil {
				osName = spec.Name.Name
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := selector.X.(*ast.Ident)
		if ok && x.Name == osName && slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, selector.Sel.Name) {
			p.calls = append(p.calls, selector.Sel.Name)
		}
		return true
	})
	return nil
}

// Each row is a package, or a file of one, that breaks or keeps a rule: a rule that catches nothing any more would pass
// unseen otherwise.
func TestRulesCatch(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		path, source string
		want         string // "" where the rules are kept
	}{
		{"internal/fault", `import "invited/internal/token"`, "must not import internal/token"},
		{"internal/token", `import "invited/internal/fault"`, "must not import internal/fault"},
		{"internal/config", `import "invited/internal/mail"`, "must not import internal/mail"},
		{"internal/mail", `import "invited/internal/fault"`, "must not import internal/fault"},
		{"internal/mail", `import "net/smtp"`, ""},
		{"internal/webhook", `import "invited/internal/mail"`, "must not import internal/mail"},
		{"internal/webhook", `import "invited/internal/delivery"`, ""},
		{"internal/database", `import "invited/internal/directory"`, "must not import internal/directory"},
		{"internal/database", `import "invited/internal/fault"`, ""},
		{"internal/database", `import "github.com/jackc/pgx/v5/pgxpool"`, ""},
		{"internal/directory", `import "invited/internal/invitation"`, "must not import internal/invitation"},
		{"internal/directory", `import "invited/internal/token"`, ""},
		{"internal/directory/dirfile", `import "invited/internal/directory"`, ""},
		{"internal/directory/dirfile", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/invitation", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/invitation", `import "invited/internal/directory/dirfile"`, "must not import internal/directory/dirfile"},
		{"internal/invitation", `import "invited/gen/server"`, "must not import gen/server"},
		{"internal/invitation", `import "gorm.io/gorm"`, "must not import gorm.io/gorm"},
		{"internal/invitation", `import "github.com/labstack/echo/v4"`, "must not import github.com/labstack/echo/v4"},
		{"internal/invitation", `import "github.com/riverqueue/river"`, "must not import github.com/riverqueue/river"},
		{"internal/invitation", `import "invited/internal/directory"`, ""},
		{"internal/store", `import "invited/internal/jobs"`, "must not import internal/jobs"},
		{"internal/store", `import "gorm.io/gorm/clause"`, ""},
		{"internal/store", `import "gorm.io/driver/postgres"`, "must not import gorm.io/driver/postgres"},
		{"internal/store", `import "github.com/riverqueue/river"`, "must not import github.com/riverqueue/river"},
		{"internal/store/queue.go", `import "github.com/riverqueue/river/riverdriver"`, ""},
		{"internal/jobs", `import "invited/cmd/invited"`, "must not import cmd/invited"},
		{"internal/jobs", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/jobs", `import "gorm.io/driver/postgres"`, "must not import gorm.io/driver/postgres"},
		{"internal/jobs/river.go", `import "github.com/riverqueue/river"`, ""},
		{"internal/waldur", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/waldur", `import "github.com/jackc/pgx/v5"`, "must not import github.com/jackc/pgx/v5"},
		{"internal/api", `import "invited/internal/waldur"`, "must not import internal/waldur"},
		{"internal/signin", `import "invited/internal/web"`, "must not import internal/web"},
		{"internal/signin", `import "github.com/coreos/go-oidc/v3/oidc"`, ""},
		{"internal/identity", `import "invited/internal/signin"`, "must not import internal/signin"},
		{"internal/web", `import "github.com/coreos/go-oidc/v3/oidc"`, "must not import github.com/coreos/go-oidc/v3/oidc"},
		{"internal/app", `import "golang.org/x/oauth2"`, "must not import golang.org/x/oauth2"},
		{"internal/webhook", `import "golang.org/x/oauth2"`, ""},
		{"internal/api", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/api", `import "invited/internal/storetest"`, "must not import internal/storetest"},
		{"internal/api", `import "invited/internal/app"`, "must not import internal/app"},
		{"internal/api", `import "github.com/getkin/kin-openapi/openapi3filter"`, ""},
		{"internal/api", `import "github.com/riverqueue/river/rivertype"`, "must not import github.com/riverqueue/river/rivertype"},
		{"internal/app", `import "invited/internal/systemtest/harness"`, "must not import internal/systemtest/harness"},
		{"internal/app", `import "invited/internal/directory/dirfile"`, ""},
		{"cmd/invited", `import "invited/internal/app"`, ""},
		{"cmd/invited", `import "github.com/ncruces/go-sqlite3/gormlite"`, "must not import github.com/ncruces/go-sqlite3/gormlite"},
		{"cmd/invited", `import "invited/internal/storetest"`, "must not import internal/storetest"},
		{"internal/storetest", `import "gorm.io/gorm"`, ""},
		{"internal/tools/bench", `import "invited/internal/storetest"`, ""},
		{"gen/client", `import "github.com/labstack/echo/v4"`, "must not import github.com/labstack/echo/v4"},
		{"gen/server", `import "github.com/labstack/echo/v4"`, ""},
		{"internal/api", `import "os"; var _ = os.Getenv("X")`, "must not call os.Getenv"},
		{"internal/api", `import system "os"; var _, _ = system.LookupEnv("X")`, "must not call os.LookupEnv"},
		{"cmd/invited", `import "os"; var _ = os.Getenv("X")`, "must not call os.Getenv"},
		{"cmd/invited", `import "os"; var _ = os.Environ()`, ""},
		{"internal/storetest/withpostgres", `import "os"; var _ = os.Getenv("X")`, ""},
		{"internal/config", `import "os"; var _ = os.Environ()`, ""},
	} {
		t.Run(test.path+" "+test.source, func(t *testing.T) {
			t.Parallel()
			file, dir := "doc.go", test.path
			if strings.HasSuffix(dir, ".go") {
				dir, file = path.Split(dir)
				dir = path.Clean(dir)
			}
			name, comment := path.Base(dir), "Package "+path.Base(dir)
			if strings.HasPrefix(test.path, "cmd/") || name == "withpostgres" {
				name, comment = "main", "Command "+name
			}
			p := pkg{path: dir}
			require.NoError(t, p.add(file, []byte("// "+comment+" does.\npackage "+name+"\n"+test.source)))
			p.docFile = "doc.go"
			found := strings.Join(problems(p), "\n")
			if test.want == "" {
				assert.Empty(t, found)
			} else {
				assert.Contains(t, found, dir+": "+test.want)
			}
		})
	}
}

func TestPackageCommentsAreJudged(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ path, file, source, want string }{
		{"internal/api", "doc.go", "// Package api speaks.\npackage api", ""},
		{"internal/api", "api.go", "package api", "no package comment"},
		{"internal/api", "api.go", "// Package api speaks.\npackage api", "a reader looks for doc.go"},
		{"internal/api", "doc.go", "// It speaks.\npackage api", `must begin with "Package api "`},
		{"gen/server", "api.gen.go", "// Package server speaks.\npackage server", ""},
		{"cmd/invited", "main.go", "// Command invited serves.\npackage main", ""},
		{"cmd/invited", "main.go", "// Package main serves.\npackage main", `must begin with "Command invited "`},
	} {
		p := pkg{path: test.path}
		require.NoError(t, p.add(test.file, []byte(test.source)))
		found := strings.Join(problems(p), "\n")
		if test.want == "" {
			assert.Empty(t, found)
		} else {
			assert.Contains(t, found, test.want)
		}
	}
}
