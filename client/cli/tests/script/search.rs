//! `/search` in a script.

use super::{Script, results};
use wire::UserId;

#[test]
fn a_script_searches_page_by_page() {
    let script = Script::new();
    {
        let mut server = script.listening.server.lock().unwrap();
        for n in 0..60 {
            server.store(2, UserId(2), &format!("Gipfel {n}"), None);
        }
        server.store(7, UserId(3), "gipfel of the group", None);
        server.make_group(7);
    }
    let commands = ["/search gipfel", "/search", "/search", "/search #7 GIPFEL", "/search ..."];
    let arguments: Vec<&str> = commands.iter().flat_map(|command| ["--exec", *command]).collect();
    let (code, objects) = script.json(&arguments, "");
    let results = results(&objects);
    let counts = results[..4].iter().map(|result| result["messages"].as_array().map(Vec::len));
    assert_eq!(counts.collect::<Vec<_>>(), [Some(50), Some(11), None, Some(1)], "{objects:#?}");
    assert_eq!(results[2]["error"], "there are no further results");
    assert!(results[0]["cursor"].is_string() && results[1]["cursor"].is_null());
    assert_eq!(results[3]["messages"][0]["content"], "gipfel of the group");
    assert!(
        results[4]["error"].as_str().is_some_and(|error| error.contains("must have a word")),
        "{results:#?}"
    );
    assert_eq!(code, 1);
    let me = ["--user", "1", "--password-file", "password", "--exec", "/search #7 gipfel"];
    let (code, stdout, stderr) = script.run(&me, "");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("#7 | user 3 (3): gipfel of the group"), "{stdout}");
}
