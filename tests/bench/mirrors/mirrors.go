// Package mirrors has what both webhooks need besides reading and answering a review.
package mirrors

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const maxBody = 7 << 20

// Targets are the mirrors by registry.
type Targets map[string]string

// Rewrite returns an image at its mirror, or as it is.
func (t Targets) Rewrite(image string) string {
	registry, rest, found := strings.Cut(image, "/")
	switch {
	case !found:
		registry, rest = "docker.io", "library/"+image
	case !strings.ContainsAny(registry, ".:") && registry != "localhost":
		registry, rest = "docker.io", image
	}
	target, known := t[registry]
	if !known {
		return image
	}
	return target + "/" + rest
}

// Body reads a request; where it is too large, it answers that and returns nothing.
func Body(writer http.ResponseWriter, request *http.Request) []byte {
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, maxBody))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusRequestEntityTooLarge)
		return nil
	}
	return body
}

// Answer writes a review with its response.
func Answer(writer http.ResponseWriter, review any) {
	writer.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(writer).Encode(review); err != nil {
		log.Print(err)
	}
}

// Serve serves reviews over TLS, as the flags of the command line say.
func Serve(handler func(Targets) http.Handler) {
	certificate := flag.String("cert", "", "PEM file of the certificate")
	key := flag.String("key", "", "PEM file of its key")
	rules := flag.String("rules", "", "JSON file: a target for each registry")
	flag.Parse()
	text, err := os.ReadFile(*rules)
	if err != nil {
		log.Fatal(err)
	}
	targets := Targets{}
	if err := json.Unmarshal(text, &targets); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /mutate", handler(targets))
	server := &http.Server{
		Handler:           mux,
		IdleTimeout:       120 * time.Second,
		ReadHeaderTimeout: 10 * time.Second,
		// The API server speaks HTTP/1.1 to webhooks, and so does the load here.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	fmt.Fprintf(os.Stderr, "ready: reviews on https://%s\n", listener.Addr())
	log.Fatal(server.ServeTLS(listener, *certificate, *key))
}
