//! Encrypted connections, with certificates made on the spot.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// A certificate authority.
pub(super) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for this name, and its key.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Files in a folder that goes with the test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        Some(path)
    }
}

fn with_tls(toggle: &Toggle, tls: TlsConfig) -> GrpcUplink {
    GrpcUplink::new(GrpcConfig { tls, ..config(toggle) }).unwrap()
}

#[test]
fn a_certificate_of_the_given_authority_is_trusted_and_no_other() {
    let (ours, theirs, files, runtime) = (Authority::new(), Authority::new(), Files::new(), runtime());
    let (certificate, key) = ours.issue("127.0.0.1");
    let toggle = Toggle::builder().tls(certificate, key).start().unwrap();
    assert!(toggle.endpoint().starts_with("https://"));

    let trusting = TlsConfig { ca_file: files.write("ours.pem", &ours.pem()), ..TlsConfig::default() };
    send(&runtime, &with_tls(&toggle, trusting), &batch(7)).unwrap();
    assert_eq!(toggle.unique_events(), 7);

    let wary = TlsConfig { ca_file: files.write("theirs.pem", &theirs.pem()), ..TlsConfig::default() };
    let (kind, text) = failure(&runtime, &with_tls(&toggle, wary), &batch(1));
    assert_eq!(kind, SendErrorKind::Unavailable);
    assert!(text.contains("certificate"), "the cause is hidden: {text}");
}

#[test]
fn a_certificate_for_another_name_needs_that_name_configured() {
    let (authority, files, runtime) = (Authority::new(), Files::new(), runtime());
    let (certificate, key) = authority.issue("toggle.test");
    let toggle = Toggle::builder().tls(certificate, key).start().unwrap();
    let ca_file = files.write("ca.pem", &authority.pem());

    let by_address = TlsConfig { ca_file: ca_file.clone(), ..TlsConfig::default() };
    let (kind, text) = failure(&runtime, &with_tls(&toggle, by_address), &batch(1));
    assert_eq!(kind, SendErrorKind::Unavailable);
    assert!(text.contains("not valid for name"), "{text}");

    let by_name = TlsConfig { ca_file, domain_name: Some("toggle.test".to_owned()), ..TlsConfig::default() };
    send(&runtime, &with_tls(&toggle, by_name), &batch(1)).unwrap();
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let (authority, files, runtime) = (Authority::new(), Files::new(), runtime());
    let (certificate, key) = authority.issue("127.0.0.1");
    let toggle = Toggle::builder().tls(certificate, key).client_ca(authority.pem()).start().unwrap();
    let ca_file = files.write("ca.pem", &authority.pem());

    let anonymous = TlsConfig { ca_file: ca_file.clone(), ..TlsConfig::default() };
    let (kind, text) = failure(&runtime, &with_tls(&toggle, anonymous), &batch(1));
    assert_eq!(kind, SendErrorKind::Unavailable, "{text}");

    let (certificate, key) = authority.issue("node-7");
    let known = TlsConfig {
        ca_file,
        client_cert_file: files.write("client.pem", &certificate),
        client_key_file: files.write("client.key", &key),
        ..TlsConfig::default()
    };
    let uplink = with_tls(&toggle, known);
    send(&runtime, &uplink, &batch(2)).unwrap();
    toggle.set_mode(Mode::DropConnections);
    assert_eq!(failure(&runtime, &uplink, &batch(1)).0, SendErrorKind::Unavailable);
    toggle.set_mode(Mode::Ok);
    send(&runtime, &uplink, &batch(3)).unwrap();
    assert_eq!(toggle.unique_events(), 5);
}

#[test]
fn renewed_certificate_files_are_used_without_a_restart() {
    let (ours, theirs, files, runtime) = (Authority::new(), Authority::new(), Files::new(), runtime());
    let (certificate, key) = ours.issue("127.0.0.1");
    let toggle = Toggle::builder().tls(certificate, key).start().unwrap();
    let ca_file = files.write("ca.pem", &theirs.pem());
    let uplink = with_tls(&toggle, TlsConfig { ca_file, ..TlsConfig::default() });
    assert_eq!(failure(&runtime, &uplink, &batch(1)).0, SendErrorKind::Unavailable);

    // Half written: the old one stays in use, and nothing breaks.
    files.write("ca.pem", "-----BEGIN");
    assert_eq!(failure(&runtime, &uplink, &batch(1)).0, SendErrorKind::Unavailable);

    files.write("ca.pem", &ours.pem());
    assert_eq!(failure(&runtime, &uplink, &batch(1)).0, SendErrorKind::Unavailable);
    send(&runtime, &uplink, &batch(1)).unwrap();
}

#[test]
fn a_client_authority_without_tls_is_refused() {
    let error = Toggle::builder().client_ca(Authority::new().pem()).start().unwrap_err();
    assert!(error.to_string().contains("client_ca needs tls"), "{error}");
}
