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

// A ban is one rule of who may import what. Packages are import paths, our own
// without the module; each stands for what is below it too, "" for all.
type ban struct {
	who    []string
	except []string
	what   []string
	but    []string // of what, those that may be imported all the same
	why    string
}

const ours = "ours" // any package of this module

var bans = []ban{
	{
		who: []string{"internal/delivery", "internal/fault", "internal/token"}, what: []string{ours},
		why: "they stand at the bottom, where everything may import them",
	},
	{
		who: []string{"internal/config"}, what: []string{ours},
		why: "the environment is read without knowing who is configured",
	},
	{
		who: []string{"internal/mail", "internal/webhook"}, what: []string{ours}, but: []string{"internal/delivery"},
		why: "they send values, and know neither rules nor rows",
	},
	{
		who: []string{"internal/directory"}, what: []string{"cmd", "internal/api", "internal/jobs", "internal/store", "internal/invitation"},
		why: "imports run one way: users and scopes exist without invitations",
	},
	{
		who: []string{"internal/invitation"}, what: []string{"cmd", "internal/api", "internal/jobs", "internal/store", "gen"},
		why: "imports run one way: the domain declares what it needs, and others satisfy it",
	},
	{
		who: []string{"internal/api", "internal/jobs", "internal/store"}, what: []string{"cmd"},
		why: "imports run one way: only main puts the program together",
	},
	{
		who: []string{"internal/api"}, what: []string{"internal/store"},
		why: "a handler calls a use case, which opens its own transaction",
	},
	{
		except: []string{"internal/store", "internal/storetest"}, what: []string{"gorm.io", "github.com/ncruces/go-sqlite3/gormlite"},
		why: "a struct tag needs no import, and queries have one home",
	},
	{
		except: []string{"internal/api", "gen/server"}, what: []string{"github.com/labstack/echo", "github.com/getkin/kin-openapi"},
		why: "HTTP and its validation have one home",
	},
	{
		except: []string{"internal/jobs", "internal/store", "internal/storetest"}, what: []string{"github.com/riverqueue/river"},
		why: "store enqueues in its transaction and jobs works; everybody else says what is to be done in types of their own",
	},
	{
		except: []string{"internal/storetest"}, what: []string{"internal/storetest"},
		why: "it is for tests, and would take their packages into the binary",
	},
}

// A pkg is what the rules need to know of a package, tests aside.
type pkg struct {
	path    string // without the module
	name    string
	doc     string
	docFile string
	imports []string
	calls   []string // of package os, those that read the environment
}

// The rules, applied to what is there. Files are parsed rather than asked of the
// go command so that those for other systems are judged too.
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
		if b.who != nil && !under(p.path, b.who) || under(p.path, b.except) {
			continue
		}
		for _, imported := range p.imports {
			if under(imported, b.what) && !under(imported, b.but) {
				note("must not import %s: %s", imported, b.why)
			}
		}
	}

	tool := p.name == "main" && under(p.path, []string{"internal"})
	for _, call := range p.calls {
		// The server's main hands its environment to config whole, and storetest asks where the tests' server is.
		if p.path != "internal/config" && p.path != "internal/storetest" && !tool && (p.name != "main" || call != "Environ") {
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
		p.imports = append(p.imports, strings.TrimPrefix(imported, module+"/"))
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

// Each row is one package that breaks, or keeps, a rule: a rule that no longer
// catches anything would otherwise pass unseen.
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
		{"internal/directory", `import "invited/internal/invitation"`, "must not import internal/invitation"},
		{"internal/directory", `import "invited/internal/token"`, ""},
		{"internal/invitation", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/invitation", `import "invited/gen/server"`, "must not import gen/server"},
		{"internal/invitation", `import "gorm.io/gorm"`, "must not import gorm.io/gorm"},
		{"internal/invitation", `import "github.com/labstack/echo/v4"`, "must not import github.com/labstack/echo/v4"},
		{"internal/invitation", `import "github.com/riverqueue/river"`, "must not import github.com/riverqueue/river"},
		{"internal/invitation", `import "invited/internal/directory"`, ""},
		{"internal/jobs", `import "invited/cmd/invited"`, "must not import cmd/invited"},
		{"internal/api", `import "invited/internal/store"`, "must not import internal/store"},
		{"internal/api", `import "invited/internal/storetest"`, "must not import internal/storetest"},
		{"internal/api", `import "github.com/getkin/kin-openapi/openapi3filter"`, ""},
		{"internal/jobs", `import "gorm.io/driver/postgres"`, "must not import gorm.io/driver/postgres"},
		{"cmd/invited", `import "github.com/ncruces/go-sqlite3/gormlite"`, "must not import github.com/ncruces/go-sqlite3/gormlite"},
		{"internal/store/rows", `import "gorm.io/gorm/clause"`, ""},
		{"internal/storetest", `import "gorm.io/gorm"`, ""},
		{"gen/client", `import "github.com/labstack/echo/v4"`, "must not import github.com/labstack/echo/v4"},
		{"gen/server", `import "github.com/labstack/echo/v4"`, ""},
		{"internal/api", `import "github.com/riverqueue/river/rivertype"`, "must not import github.com/riverqueue/river/rivertype"},
		{"internal/store", `import "github.com/riverqueue/river/riverdriver"`, ""},
		{"cmd/invited", `import "invited/internal/storetest"`, "must not import internal/storetest"},
		{"internal/api", `import "os"; var _ = os.Getenv("X")`, "must not call os.Getenv"},
		{"internal/api", `import system "os"; var _, _ = system.LookupEnv("X")`, "must not call os.LookupEnv"},
		{"cmd/invited", `import "os"; var _ = os.Getenv("X")`, "must not call os.Getenv"},
		{"cmd/invited", `import "os"; var _ = os.Environ()`, ""},
		{"internal/storetest/withpostgres", `import "os"; var _ = os.Getenv("X")`, ""},
		{"internal/config", `import "os"; var _ = os.Environ()`, ""},
	} {
		t.Run(test.path+" "+test.source, func(t *testing.T) {
			t.Parallel()
			name, comment := path.Base(test.path), "Package "+path.Base(test.path)
			if strings.HasPrefix(test.path, "cmd/") || name == "withpostgres" {
				name, comment = "main", "Command "+name
			}
			p := pkg{path: test.path}
			require.NoError(t, p.add("doc.go", []byte("// "+comment+" does.\npackage "+name+"\n"+test.source)))
			found := strings.Join(problems(p), "\n")
			if test.want == "" {
				assert.Empty(t, found)
			} else {
				assert.Contains(t, found, test.path+": "+test.want)
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
