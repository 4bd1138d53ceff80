package enum_test

import (
	"fmt"

	"github.com/gomilter/gomilter/internal/enum"
)

func ExampleNames() {
	colours := enum.Names{Package: "fruit", What: "colour", List: []string{1: "red", 2: "green"}}
	fmt.Println(colours.Name(2))
	i, err := colours.Unmarshal([]byte("red"))
	fmt.Println(i, err)
	_, err = colours.Unmarshal([]byte("blue"))
	fmt.Println(err)
	// Output:
	// green
	// 1 <nil>
	// fruit: no colour is called "blue"
}
