package config

import (
	"log/slog"
	"os"
	"strings"
)

// A Secret is a text that is shown to nobody, such as a password. Where a key is one,
// configurations may name a file it is read from (KEY_file) or a variable of the
// environment (KEY_env) instead.
type Secret struct {
	value *string // behind a pointer, so that printing what holds a Secret does not show it
	from  string  // the suffix of the key it came by: "", "_file" or "_env"
	name  string  // of the file or variable
}

// Reveal returns the text; "" for a Secret that is not set.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns "(secret)", or "" for one that is not set.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return "(secret)"
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// maxSecret is the bytes of a file with a secret.
const maxSecret = 64 << 10

// The suffixes of keys that say where a secret comes from.
var secretSuffixes = []string{"", "_file", "_env"}

// secret reads a secret by one of its keys.
func (d *decoder) secret(n *node, suffix, key string) (s Secret, ok bool) {
	if n.kind != stringKind {
		d.bad(n.at, key, "it is %v, and should be a string", n.kind)
		return s, false
	}
	value := n.text
	s = Secret{value: &value, from: suffix, name: n.text}
	switch suffix {
	case "_file":
		s.name = beside(n.at.file, n.text)
		data, err := readRegular(s.name, maxSecret)
		if err != nil {
			d.bad(n.at, key, "%v", err)
			return s, false
		}
		if info, err := os.Stat(s.name); err == nil && info.Mode().Perm()&0o007 != 0 {
			d.warn(n.at, key, "others may read or write %s", s.name)
		}
		value = strings.TrimRight(string(data), "\r\n")
	case "_env":
		value, ok = os.LookupEnv(n.text)
		if !ok {
			d.bad(n.at, key, "the environment has no %s", n.text)
			return s, false
		}
	}
	if value == "" {
		d.bad(n.at, key, "the secret is empty")
		return s, false
	}
	return s, true
}

// checkOne tells of a secret that is given twice.
func (d *decoder) checkOne(n *node, name, path string) {
	var given []string
	for _, suffix := range secretSuffixes {
		if _, ok := n.fields[name+suffix]; ok {
			given = append(given, name+suffix)
		}
	}
	if len(given) > 1 {
		d.bad(n.names[given[1]], joinPath(path, given[1]), "%s is given already", given[0])
	}
}
