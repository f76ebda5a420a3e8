//! Certificates and tokens: who has none is not talked to, on any hop.

use std::path::{Path, PathBuf};

use lode_tests::cluster::Cluster;
use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::Repo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority and what it has signed.
struct Authority {
    home: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let home = tempfile::TempDir::new().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(home.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { home, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A certificate for a name; the files are `<file>.pem` and `<file>.key`.
    fn sign(&self, file: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn certificates_and_tokens_on_every_hop() {
    let (own, other) = (Authority::new(), Authority::new());
    own.sign("node", "lode");
    own.sign("client", "client");
    other.sign("client", "client");
    let secret = "member-secret-0123456789";
    let (ca, node, key) = (text(&own.path("ca.pem")), text(&own.path("node.pem")), text(&own.path("node.key")));
    let variables = [
        ("LODE_SCHEDULER_TLS_CA", ca.as_str()),
        ("LODE_SCHEDULER_TLS_CERT", &node),
        ("LODE_SCHEDULER_TLS_KEY", &key),
        ("LODE_EXECUTOR_TLS_CA", &ca),
        ("LODE_EXECUTOR_TLS_CERT", &node),
        ("LODE_EXECUTOR_TLS_KEY", &key),
        ("LODE_CLUSTER_TOKEN", secret),
        ("LODE_TOKEN", "client-secret-0123456789"),
    ];
    let mut cluster = Cluster::with(&["", ""], &variables);
    let repo = Repo::sample(12);
    let lake = Lake::default();
    let client = |authority: &Authority, token: &str| {
        let mut command = cluster.submission(repo.root(), &lake, "secured", &["--shards", "3"]);
        command.env("LODE_TLS_CA", authority.path("ca.pem")).env("LODE_TLS_CERT", authority.path("client.pem"));
        command.env("LODE_TLS_KEY", authority.path("client.key")).env("LODE_TOKEN", token);
        command
    };
    let token = "client-secret-0123456789";
    Output::of(&mut client(&other, token)).fails_with(&["nothing that can be talked to"]);
    Output::of(&mut client(&own, "another-secret-0123456789")).fails_with(&["token"]);
    let mut bare = cluster.submission(repo.root(), &lake, "secured", &[]);
    Output::of(&mut bare).fails_with(&["does not answer"]);

    let output = Output::of(&mut client(&own, token)).ok();
    assert_eq!(output.summary().state, "committed", "{output}\n{}", cluster.logs());
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));

    // The token of clients does not make an executor, and neither does a certificate without it.
    cluster.add_executor(&[("LODE_CLUSTER_TOKEN", token)]);
    assert!(!cluster.executors[2].wait().success());
    cluster.executors[2].says("refused this executor");
    let log = cluster.logs();
    for secret in [secret, token] {
        assert!(!log.contains(secret), "a secret is in a log");
    }
}

#[test]
fn nobody_is_open_by_accident() {
    for (role, words) in [("scheduler", "--insecure"), ("executor", "--insecure")] {
        let mut command = std::process::Command::new(lode_tests::profile_directory().join("cluster-under-test"));
        let output = Output::of(command.args([role, "--bind", "0.0.0.0"]).env_remove("LODE_CLUSTER_TOKEN"));
        output.fails_with(&[words, "certificates"]);
    }
    let repo = Repo::sample(1);
    let mut far = Lake::default().command("submit");
    far.arg(repo.root()).args(["--scheduler", "df://192.0.2.1:50050"]);
    Output::of(&mut far).fails_with(&["another machine", "--insecure"]);
}
