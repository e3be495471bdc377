//! The examples of `docs/http.md`, as a reader would run them.

use crate::support::Server;
use crate::support::http::{WEB, web};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The shell commands of a page.
fn examples(page: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

#[test]
fn the_examples_of_the_page_work() {
    let english = examples("docs/http.md");
    assert_eq!(english, examples("docs/zh/http.md"), "both languages show the same commands");
    let server = Server::start(&WEB);
    let folder = tempfile::tempdir().unwrap();
    let commands = english
        .replace("127.0.0.1:6080", &web(&server).to_string())
        .replace("curl ", "curl --silent --show-error --write-out '\\n%{http_code}\\n' ");
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .current_dir(folder.path())
        .output()
        .expect("these tests run curl: apt-get install curl");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    let statuses: Vec<&str> = lines.iter().copied().filter(|line| line.len() == 3).collect();
    assert_eq!(statuses, ["201", "200", "200", "200", "200", "204"], "{said}");
    assert!(lines[4].contains("\"errno\":0") && !lines[4].contains("duplicate"), "{said}");
    assert!(lines[6].contains("\"duplicate\":true"), "{said}");
}
