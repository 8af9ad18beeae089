// Changes single bytes of x509-limbo's certificates and says of each result whether Go's library reads it: one line each,
// with the certificate in base64, `read` or `refused`, and why. The same changes every time. Run by scripts/crypto-vectors.
//
//go:debug x509negativeserial=0
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand"
	"os"
	"strings"
)

const changesPerCertificate = 20

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var suite struct {
		Testcases []struct {
			Trusted []string `json:"trusted_certs"`
			Inter   []string `json:"untrusted_intermediates"`
			Peer    string   `json:"peer_certificate"`
		}
	}
	if err := json.Unmarshal(data, &suite); err != nil {
		panic(err)
	}
	random := rand.New(rand.NewSource(1))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	seen := map[string]bool{}
	for _, test := range suite.Testcases {
		for _, text := range append(append(test.Trusted, test.Inter...), test.Peer) {
			block, _ := pem.Decode([]byte(text))
			// The pathological ones have thousands of names: one byte more or less shows nothing new.
			if block == nil || len(block.Bytes) > 3000 || seen[string(block.Bytes)] {
				continue
			}
			seen[string(block.Bytes)] = true
			judge(out, block.Bytes)
			for range changesPerCertificate {
				changed := append([]byte{}, block.Bytes...)
				place := random.Intn(len(changed))
				switch random.Intn(3) {
				case 0:
					changed[place] ^= 1 << random.Intn(8)
				case 1:
					changed[place] = byte(random.Intn(256))
				default:
					changed[place] += byte(1 - 2*random.Intn(2))
				}
				judge(out, changed)
			}
		}
	}
}

func judge(out *bufio.Writer, der []byte) {
	verdict, reason := "read", ""
	if _, err := x509.ParseCertificate(der); err != nil {
		verdict, reason = "refused", strings.ReplaceAll(err.Error(), "\n", " ")
	}
	fmt.Fprintf(out, "%s\t%s\t%s\n", base64.StdEncoding.EncodeToString(der), verdict, reason)
}
