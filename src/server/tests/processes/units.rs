//! The shipped units, as systemd reads them.

use crate::support::programs;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The worst score that a unit may have, in tenths.
const EXPOSURE_MAX: &str = "15";

const SERVICES: [&str; 2] = ["chatserver.service", "chatserver@.service"];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/systemd")
}

fn systemd_analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    let output = Command::new("systemd-analyze").args(arguments).args(units).output();
    output.unwrap_or_else(|error| {
        panic!("systemd-analyze: {error}: run scripts/test-needs.sh (make test does)")
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn systemd_verifies_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for name in ["chatserver.service", "chatserver@.service", "chatserver.socket"] {
        // systemd checks that the program exists.
        let text = fs::read_to_string(shipped().join(name)).unwrap();
        let program = programs::chatserver().to_str().unwrap();
        fs::write(folder.path().join(name), text.replace("/usr/local/bin/chatserver", program)).unwrap();
        units.push(folder.path().join(name.replace("@.", "@n1.")));
    }
    // The manual pages are not installed here.
    let output = systemd_analyze(&["verify", "--man=no"], &units);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
}

#[test]
fn the_units_are_tightly_sandboxed() {
    for service in SERVICES {
        let arguments = ["security", "--offline=yes", "--no-pager", "--threshold", EXPOSURE_MAX];
        let output = systemd_analyze(&arguments, &[shipped().join(service)]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("Overall exposure level"), "{}", said(&output));
    }
}

#[test]
fn the_units_bound_memory_and_keep_secrets_apart() {
    let text = |name: &str| fs::read_to_string(shipped().join(name)).unwrap();
    for service in SERVICES {
        let text = text(service);
        let has = |line: &str| text.lines().any(|other| other == line);
        assert!(has("MemoryMax=50%") && has("LimitCORE=0") && has("UMask=0077"), "{service}");
    }
    let [service, template] = SERVICES.map(text);
    let credentials = |text: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("LoadCredential="));
        let path = lines.next().unwrap().split_once(':').unwrap().1.to_owned();
        assert_eq!(lines.next(), None);
        path
    };
    let (all, own) = (credentials(&service), credentials(&template));
    assert!(own.contains("%i") && !own.starts_with(&format!("{all}/")), "{own} is no part of {all}");
    let socket = text("chatserver.socket");
    let listens: Vec<_> = socket.lines().filter_map(|line| line.strip_prefix("ListenStream=")).collect();
    assert_eq!(listens, ["127.0.0.1:6000", "[::1]:6000"]);
}

/// One unit cannot include another.
#[test]
fn the_template_unit_differs_from_the_service_in_names_only() {
    let [service, template] = SERVICES.map(|name| fs::read_to_string(shipped().join(name)).unwrap());
    let differences: Vec<_> =
        service.lines().zip(template.lines()).filter(|(one, other)| one != other).collect();
    assert_eq!(service.lines().count(), template.lines().count());
    for (one, other) in differences {
        assert!(one.starts_with('#') && other.starts_with('#') || other.contains("%i"), "{one}\n{other}");
    }
}
