package milter_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// examplePackages are those whose exported functions and types all stand in some
// Example of theirs.
var examplePackages = []string{".", "address", "authres", "callout", "daemon", "daemon/config", "daemon/logs", "daemon/metrics", "dkim", "dmarc", "dns", "dsn", "filter", "filter/access", "filter/attachments", "filter/auth", "filter/headers", "filter/html", "filter/scan", "filter/sign", "internal/comment", "internal/edit", "internal/enum", "internal/release", "internal/doctor", "internal/offline", "message", "miltertest", "mta", "policy", "quarantine", "spf", "store", "store/storetest", "srs"}

func TestEveryExportedNameHasAnExample(t *testing.T) {
	for _, dir := range examplePackages {
		files, err := parsePackage(dir)
		if err != nil {
			t.Fatal(err)
		}
		named := make(map[string]bool)
		var exported []string
		for name, f := range files {
			for _, d := range f.Decls {
				fn, isFunc := d.(*ast.FuncDecl)
				if strings.HasSuffix(name, "_test.go") {
					if isFunc && strings.HasPrefix(fn.Name.Name, "Example") {
						of, _, _ := strings.Cut(strings.TrimPrefix(fn.Name.Name, "Example"), "_")
						named[of] = true
						ast.Inspect(fn, func(n ast.Node) bool {
							if id, ok := n.(*ast.Ident); ok {
								named[id.Name] = true
							}
							return true
						})
					}
					continue
				}
				if isFunc && fn.Recv == nil && fn.Name.IsExported() {
					exported = append(exported, fn.Name.Name)
				}
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
					for _, s := range g.Specs {
						if ts := s.(*ast.TypeSpec); ts.Name.IsExported() {
							exported = append(exported, ts.Name.Name)
						}
					}
				}
			}
		}
		if len(exported) == 0 {
			t.Errorf("%s exports nothing", dir)
		}
		slices.Sort(exported)
		for _, name := range exported {
			if !named[name] {
				t.Errorf("%s.%s is in no Example", dir, name)
			}
		}
	}
}

func parsePackage(dir string) (map[string]*ast.File, error) {
	files := make(map[string]*ast.File)
	fset := token.NewFileSet()
	return files, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir:
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		files[path], err = parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		return err
	})
}
