// Asks prints which URLs a container runtime would ask for images, by the runtime's own
// reading of its configuration: for each image, one line of JSON with a list of URLs.
//
//	asks containerd DIR   # DIR holds HOST/hosts.toml
//	asks crio FILE        # registries.conf
//	asks k3s FILE         # registries.yaml
//
// Images are read from standard input, one per line, in normal form.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rancher/wharfie/pkg/registries"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

func main() {
	asked, err := reader(os.Args[1], os.Args[2])
	if err == nil {
		err = answer(asked)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func reader(runtime, path string) (func(reference.Named) ([]string, error), error) {
	switch runtime {
	case "containerd":
		return containerd(path), nil
	case "crio":
		return crio(path), nil
	case "k3s":
		return k3s(path)
	}
	return nil, fmt.Errorf("no such runtime: %s", runtime)
}

func answer(asked func(reference.Named) ([]string, error)) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		named, err := reference.ParseNamed(lines.Text())
		if err != nil {
			return err
		}
		urls, err := asked(named)
		if err != nil {
			return fmt.Errorf("%s: %w", named, err)
		}
		line, err := json.Marshal(urls)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return lines.Err()
}

// version returns what a manifest is requested by: the digest if there is one, else the tag.
func version(named reference.Named) string {
	if digested, ok := named.(reference.Digested); ok {
		return digested.Digest().String()
	}
	if tagged, ok := named.(reference.Tagged); ok {
		return tagged.Tag()
	}
	return "latest"
}

func containerd(root string) func(reference.Named) ([]string, error) {
	hosts := config.ConfigureHosts(
		context.Background(),
		config.HostOptions{HostDir: config.HostDirFromRoot(root)},
	)
	return func(named reference.Named) ([]string, error) {
		found, err := hosts(reference.Domain(named))
		if err != nil {
			return nil, err
		}
		urls := []string{}
		for _, host := range found {
			// docker.Resolver needs both to ask a host for a tag, and then for blobs.
			if !host.Capabilities.Has(docker.HostCapabilityResolve | docker.HostCapabilityPull) {
				continue
			}
			urls = append(urls, fmt.Sprintf("%s://%s%s/%s/manifests/%s",
				host.Scheme, host.Host, host.Path, reference.Path(named), version(named)))
		}
		return urls, nil
	}
}

func crio(path string) func(reference.Named) ([]string, error) {
	system := &types.SystemContext{SystemRegistriesConfPath: path}
	return func(named reference.Named) ([]string, error) {
		registry, err := sysregistriesv2.FindRegistry(system, named.String())
		if err != nil {
			return nil, err
		}
		sources := []sysregistriesv2.PullSource{{Reference: named}}
		if registry != nil {
			sources, err = registry.PullSourcesFromReference(named)
			if err != nil {
				return nil, err
			}
		}
		urls := []string{}
		for _, source := range sources {
			domain := reference.Domain(source.Reference)
			if domain == "docker.io" {
				domain = "registry-1.docker.io"
			}
			urls = append(urls, fmt.Sprintf("https://%s/v2/%s/manifests/%s",
				domain, reference.Path(source.Reference), version(source.Reference)))
		}
		return urls, nil
	}
}

// k3s reads the file as k3s's own image loader does, which sends requests at once. So the
// mirrors are asked over plain HTTP, by a transport that records the URLs; the registry
// itself comes last, over HTTPS, and is not recorded.
func k3s(path string) (func(reference.Named) ([]string, error), error) {
	found, err := registries.GetPrivateRegistries(path)
	if err != nil {
		return nil, err
	}
	// Nothing listens there, so that nothing leaves this machine.
	if err := os.Setenv("HTTPS_PROXY", "http://127.0.0.1:9"); err != nil {
		return nil, err
	}
	for key, mirror := range found.Registry.Mirrors {
		for i, endpoint := range mirror.Endpoints {
			mirror.Endpoints[i] = strings.Replace(endpoint, "https://", "http://", 1)
		}
		found.Registry.Mirrors[key] = mirror
	}
	return func(named reference.Named) ([]string, error) {
		asked := &notes{urls: []string{}}
		remote.DefaultTransport = asked
		image, err := name.ParseReference(named.String())
		if err != nil {
			return nil, err
		}
		_, _ = found.Image(image,
			remote.WithRetryPredicate(func(error) bool { return false }),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
		return asked.urls, nil
	}, nil
}

type notes struct{ urls []string }

func (n *notes) RoundTrip(request *http.Request) (*http.Response, error) {
	if strings.Contains(request.URL.Path, "/manifests/") {
		url := *request.URL
		url.RawQuery = ""
		n.urls = append(n.urls, strings.Replace(url.String(), "http://", "https://", 1))
		return reply(request, http.StatusNotFound), nil
	}
	return reply(request, http.StatusOK), nil
}

func reply(request *http.Request, status int) *http.Response {
	return &http.Response{StatusCode: status, Request: request, Header: http.Header{}, Body: http.NoBody}
}
