package roots

import "os"

// bundles is crypto/x509's list of known files, root_linux.go; a test holds it to that.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo, Alpine
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine
}

// systemBundle is the one file that crypto/x509 would read; it reads directories, too. "" if there
// is none: then this package has nothing to offer.
func systemBundle() string {
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		return file
	}
	for _, file := range bundles {
		if f, err := os.Open(file); err == nil { // as x509, which takes the first that can be read
			f.Close()
			return file
		}
	}
	return ""
}
