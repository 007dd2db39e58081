// Prints what trivy understands of an SPDX document on standard input: the operating system and its packages. The whole
// of trivy takes hours to build; what reads documents is this.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aquasecurity/trivy/pkg/sbom/core"
	sbomio "github.com/aquasecurity/trivy/pkg/sbom/io"
	"github.com/aquasecurity/trivy/pkg/sbom/spdx"
	"github.com/aquasecurity/trivy/pkg/types"
)

func main() {
	document := spdx.SPDX{BOM: core.NewBOM(core.Options{GenerateBOMRef: true})}
	var result types.SBOM
	fail(json.NewDecoder(os.Stdin).Decode(&document))
	fail(sbomio.NewDecoder(document.BOM).Decode(context.Background(), &result))
	fail(json.NewEncoder(os.Stdout).Encode(result))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
