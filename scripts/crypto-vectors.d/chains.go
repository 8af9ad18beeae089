// Judges the certificate chains of x509-limbo as Fabric judges members: by Go's library, as for TLS servers, without a
// host's name. Prints results in the form of x509-limbo's harnesses. Run by scripts/crypto-vectors.
//
//go:debug x509negativeserial=0
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"
	"time"
)

type testcase struct {
	ID      string   `json:"id"`
	Trusted []string `json:"trusted_certs"`
	Inter   []string `json:"untrusted_intermediates"`
	Peer    string   `json:"peer_certificate"`
	Time    *string  `json:"validation_time"`
}

func parse(s string) (*x509.Certificate, error) {
	b, _ := pem.Decode([]byte(s))
	if b == nil {
		return nil, fmt.Errorf("no pem")
	}
	return x509.ParseCertificate(b.Bytes)
}

func verdict(t testcase) error {
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	for _, p := range t.Trusted {
		c, err := parse(p)
		if err != nil {
			return fmt.Errorf("root: %w", err)
		}
		roots.AddCert(c)
	}
	for _, p := range t.Inter {
		c, err := parse(p)
		if err != nil {
			return fmt.Errorf("intermediate: %w", err)
		}
		inter.AddCert(c)
	}
	leaf, err := parse(t.Peer)
	if err != nil {
		return fmt.Errorf("leaf: %w", err)
	}
	at := time.Now()
	if t.Time != nil {
		at, err = time.Parse(time.RFC3339, *t.Time)
		if err != nil {
			panic(err)
		}
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: at})
	return err
}

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var suite struct{ Testcases []testcase }
	if err := json.Unmarshal(data, &suite); err != nil {
		panic(err)
	}
	type result struct {
		ID      string `json:"id"`
		Actual  string `json:"actual_result"`
		Context string `json:"context"`
	}
	var results []result
	for _, t := range suite.Testcases {
		r := result{ID: t.ID, Actual: "SUCCESS"}
		if err := verdict(t); err != nil {
			r.Actual, r.Context = "FAILURE", err.Error()
		}
		results = append(results, r)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"version": 1, "harness": "members, " + runtime.Version(), "results": results})
}
