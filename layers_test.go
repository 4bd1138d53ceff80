package milter_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/gomilter/gomilter"

// ranks draws the layers: a package may import only what has a lower rank. The
// tests of a package may look up.
var ranks = map[string]int{
	"internal/comment": -1,
	"internal/enum":    -1,
	"internal/roff":    -1,
	"internal/utf7":    -1,

	"internal/archive":  0,
	"internal/filename": 0,
	"internal/cliref":   0,
	"packaging":         0,
	"internal/memconn":  0,
	"internal/wire":     0,
	"internal/smtpc":    0,
	"address":           0,
	"message":           0,
	"dns":               0,
	"authres":           0,
	"srs":               0,
	"store":             0,

	"":                      1, // package milter
	"internal/edit":         1,
	"internal/smtpc/fakemx": 1,
	"store/storetest":       1,
	"dsn":                   1,
	"quarantine":            1,
	"spf":                   1,
	"dkim":                  1,
	"dmarc":                 1,
	"policy":                1,
	"callout":               1,

	"mta":    2,
	"filter": 2,

	"miltertest":         3,
	"filter/attachments": 3,
	"filter/auth":        3,
	"filter/html":        3,
	"filter/headers":     3,
	"filter/access":      3,
	"filter/scan":        3,
	"filter/sign":        3,
	"internal/peertest":  3,
	"internal/release":   3,
	"internal/hostile":   3,

	"internal/doctor":         4,
	"internal/peertest/cases": 4,

	// The samples' filters stand below the programs that run them.
	"examples/headerrules": 4,
	"examples/skeleton":    4,
	"examples/nomix":       4,

	"daemon/config":    4,
	"daemon/logs":      4,
	"daemon/metrics":   4,
	"daemon":           5,
	"internal/offline": 5,

	"cmd/gomilter":              6,
	"bench/bench-server":        6,
	"bench/compare":             6,
	"bench/soak":                6,
	"examples/headerrules/main": 6,
	"examples/skeleton/main":    6,
	"examples/nomix/main":       6,
}

// onlyStandard are packages that link nothing from outside the project.
var onlyStandard = map[string]bool{"": true, "internal/wire": true}

func TestImportsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from, _ := inModule(p.ImportPath)
		seen[from] = true
		rank, ok := ranks[from]
		if !ok {
			t.Errorf("%s has no rank in the layers", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := inModule(imp)
			switch {
			case ours && ranks[to] >= rank:
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
			case !ours && onlyStandard[from] && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				t.Errorf("%s imports %s; it may use the standard library only", p.ImportPath, imp)
			}
		}
	}
	for p := range ranks {
		if !seen[p] {
			t.Errorf("the layers name %q, which does not exist", p)
		}
	}
}

func inModule(path string) (rel string, ours bool) {
	if path == module {
		return "", true
	}
	rel, ours = strings.CutPrefix(path, module+"/")
	return rel, ours
}
