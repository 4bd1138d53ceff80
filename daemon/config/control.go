package config

// DefaultControlSocket is the path of the control socket where the configuration
// names none.
const DefaultControlSocket = "/run/gomilter/control.sock"

// ControlSocket returns the path of the control socket also from a configuration
// that is wrong elsewhere: whoever mends it wants to ask the daemon that still runs
// with another. Files that are no TOML are passed over.
func (s *Source) ControlSocket() string {
	path := DefaultControlSocket
	for _, f := range s.files {
		tree, problem := parseTOML(f.name, f.data)
		if problem != nil {
			continue
		}
		control := tree.fields["control"]
		if control == nil {
			continue
		}
		if v := control.fields["socket"]; v != nil && v.kind == stringKind {
			if path = v.text; path != "" {
				path = beside(f.name, path)
			}
		}
	}
	return path
}
