// A container registry on one address, in memory: for tests that push and pull real images.
package main

import (
	"io"
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: registry HOST:PORT")
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	log.Fatal(http.ListenAndServe(os.Args[1], handler))
}
