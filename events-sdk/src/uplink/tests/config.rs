//! What is found without a network.

use super::*;

fn complaint(config: GrpcConfig) -> String {
    GrpcUplink::new(config).unwrap_err().to_string()
}

#[test]
fn an_endpoint_that_cannot_work_is_named_with_its_cure() {
    for (endpoint, says) in [
        ("toggle.example:50051", "does not say http:// or https://"),
        ("", "is not a URL"),
        ("http://", "is not a URL"),
        ("ftp://toggle.example", "neither http nor https"),
        ("https://toggle.example/events", "has a path"),
        ("https://toggle.example?x=1", "has a path"),
        ("https://toggle.example#\u{1b}[2J", "has a fragment"),
        ("http://to ggle:1", "is not a URL"),
        ("/toggle", "names no host"),
        ("http://:50051", "names no host"),
    ] {
        let said = complaint(GrpcConfig::new(endpoint));
        assert!(said.contains(says), "{endpoint}: {said}");
        assert!(said.contains("write https://host:port"), "{endpoint}: {said}");
    }
}

#[test]
fn a_password_in_the_endpoint_is_refused_and_not_repeated() {
    let said = complaint(GrpcConfig::new("https://root:hunter2@toggle.example"));
    assert!(said.contains("user or password"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn times_and_sizes_that_let_nothing_pass_are_refused() {
    let good = GrpcConfig::new("http://127.0.0.1:1");
    let said = complaint(GrpcConfig { timeout: Duration::ZERO, ..good.clone() });
    assert!(said.contains("timeout is zero"), "{said}");
    let said = complaint(GrpcConfig { max_message_bytes: 10, ..good.clone() });
    assert!(said.contains("max_message_bytes is 10"), "{said}");
    let said = complaint(GrpcConfig { token: TokenSource::Value("two words".to_owned()), ..good });
    assert!(said.contains("the token has a character at byte 4"), "{said}");
}

#[test]
fn certificate_files_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("readme.txt");
    std::fs::write(&text, "no certificate here").unwrap();
    let missing = folder.path().join("missing.pem");
    let with = |tls| GrpcConfig { tls, ..GrpcConfig::new("https://127.0.0.1:1") };

    let said = complaint(with(TlsConfig { ca_file: Some(text.clone()), ..TlsConfig::default() }));
    assert!(said.contains("readme.txt holds no certificate"), "{said}");
    let endless = Some("/dev/zero".into());
    let said = complaint(with(TlsConfig { ca_file: endless, ..TlsConfig::default() }));
    assert!(said.contains("/dev/zero cannot be read: not a regular file"), "{said}");
    let said = complaint(with(TlsConfig { ca_file: Some(missing), ..TlsConfig::default() }));
    assert!(said.contains("missing.pem cannot be read: No such file"), "{said}");
    let said = complaint(GrpcConfig {
        tls: TlsConfig { ca_file: Some(text), ..TlsConfig::default() },
        ..GrpcConfig::new("http://127.0.0.1:1")
    });
    assert!(said.contains("write https://"), "{said}");
}

#[test]
fn half_a_client_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, tls::Authority::new().pem()).unwrap();
    let tls =
        TlsConfig { ca_file: Some(ca_file.clone()), client_cert_file: Some(ca_file), ..Default::default() };
    let said = complaint(GrpcConfig { tls, ..GrpcConfig::new("https://127.0.0.1:1") });
    assert!(said.contains("client_cert_file is set without client_key_file"), "{said}");
}

#[cfg(not(all(feature = "gzip", feature = "zstd")))]
#[test]
fn a_compression_that_is_not_compiled_in_names_its_feature() {
    for (compression, name, compiled_in) in [
        (Compression::Gzip, "gzip", cfg!(feature = "gzip")),
        (Compression::Zstd, "zstd", cfg!(feature = "zstd")),
    ] {
        if !compiled_in {
            let said = complaint(GrpcConfig { compression, ..GrpcConfig::new("http://127.0.0.1:1") });
            assert!(said.contains(&format!("cargo feature \"{name}\"")), "{said}");
        }
    }
}

#[test]
fn no_debug_output_holds_the_token() {
    let config = GrpcConfig {
        token: TokenSource::Value("hush-hush".to_owned()),
        ..GrpcConfig::new("http://127.0.0.1:1")
    };
    let shown = format!("{config:?} {:?}", GrpcUplink::new(config.clone()).unwrap());
    assert!(!shown.contains("hush"), "{shown}");
}
