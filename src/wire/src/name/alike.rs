//! When two names look alike, and which name a person means who types one in another form.

use super::key;
use crate::characters::is_ignorable;
use crate::limits::NAME_CHARS;
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The confusable skeletons of a name (UTS #39, section 4): two names look alike where they share one.
///
/// Names are compared without regard to case, and either case of a name can be confused: `Ѕ` with `S`, `ѕ` with `s`. So
/// there is one skeleton of the folded name and, where it differs, the folded skeleton of the name as written. Each is at
/// most [`SKELETON_BYTES`] long.
pub fn skeletons(name: &str) -> Vec<String> {
    let folded = unicode_security::skeleton(&key(name)).collect::<String>();
    let as_written = key(&unicode_security::skeleton(name).collect::<String>());
    let mut skeletons = vec![folded];
    if as_written != skeletons[0] {
        skeletons.push(as_written);
    }
    skeletons
}

/// The longest skeleton or fold of a name, bytes: the width of the columns that hold them.
pub const SKELETON_BYTES: usize = 2_048;

/// What a name is looked up by where no account has its [`key`]: compatibility forms are replaced (NFKC), case is folded,
/// and invisible characters are left out. `ａｌｉｃｅ` gives `alice`. A text longer than any name gives its key.
pub fn fold(name: &str) -> String {
    if name.is_ascii() || name.chars().nth(NAME_CHARS).is_some() {
        return key(name);
    }
    let visible = name.chars().filter(|c| !is_ignorable(*c));
    visible.nfkc().default_case_fold().nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_alike(one: &str, other: &str) -> bool {
        let (one, other) = (skeletons(one), skeletons(other));
        one.iter().any(|skeleton| other.contains(skeleton))
    }

    #[test]
    fn confusable_names_look_alike() {
        for (one, other) in [
            ("alice", "аlice"),
            ("Alice", "аLICE"),
            ("сосо", "coco"),
            ("ΒΟΒ", "bob"),
            ("ＡＬＩＣＥ", "alice"),
            ("ali\u{200b}ce", "alice"),
            ("🙂\u{fe0f}", "🙂"),
            ("e\u{301}va", "éva"),
        ] {
            assert!(look_alike(one, other), "{one} {other}");
        }
        for (one, other) in [("alice", "alica"), ("张三", "张四"), ("Иван", "Ивана"), ("éva", "eva")]
        {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn compatibility_forms_fold_to_the_plain_name() {
        for typed in ["ａｌｉｃｅ", "ALICE", "ali\u{200b}ce", "Ａlice"] {
            assert_eq!(fold(typed), "alice");
        }
        assert_eq!(
            (fold("ﬁn"), fold("Straße"), fold("张三")),
            ("fin".into(), "strasse".into(), "张三".into())
        );
    }

    /// The columns of both databases are this wide.
    #[test]
    fn skeletons_and_folds_of_the_longest_names_fit_their_columns() {
        for c in (' '..=char::MAX).filter(|c| !c.is_ascii_control()) {
            let name = c.to_string();
            let longest = skeletons(&name).into_iter().chain([fold(&name)]).map(|text| text.len()).max();
            assert!(longest.unwrap_or_default() * NAME_CHARS <= SKELETON_BYTES, "{name:?}");
        }
    }
}
