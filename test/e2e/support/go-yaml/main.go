// Reads YAML as the tools of Kubernetes do: with kyaml, which kustomize and kpt read functions by, and with
// sigs.k8s.io/yaml, by which kubectl and the API machinery read. Standard input holds a JSON list of texts, each a YAML
// document; standard output gets a JSON list of {"kyaml": ..., "sigs": ...}, each with a value or an error.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/kustomize/kyaml/kio"
	sigs "sigs.k8s.io/yaml"
)

type reading struct {
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answers := make([]map[string]reading, len(texts))
	for index, text := range texts {
		answers[index] = map[string]reading{"kyaml": byKyaml(text), "sigs": bySigs(text)}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// byKyaml reads one object as kustomize reads what a function has answered, without annotations of its own.
func byKyaml(text string) (answer reading) {
	nodes, err := kio.FromBytes([]byte(text))
	if err != nil {
		return reading{Error: err.Error()}
	}
	if len(nodes) != 1 {
		return reading{Error: fmt.Sprintf("%d objects", len(nodes))}
	}
	var value any
	if err := nodes[0].YNode().Decode(&value); err != nil {
		return reading{Error: err.Error()}
	}
	return reading{Value: value}
}

func bySigs(text string) reading {
	var value any
	if err := sigs.Unmarshal([]byte(text), &value); err != nil {
		return reading{Error: err.Error()}
	}
	return reading{Value: value}
}
