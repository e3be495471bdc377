//! What a new user's name may be. Accounts that were created before these rules keep their names.
//!
//! Clients and people write ids and commands where they may also write names, so a name must not be mistaken for either
//! (`7`, `chat:a:b`, `@all`, `-x`), nor for another user's name.

use super::{alike, check};
use crate::limits;
use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};
use unicode_security::mixed_script::AugmentedScriptSet;

/// Characters with a meaning in commands, addresses and lists.
const RESERVED: [char; 6] = [':', '/', '@', '#', ',', '"'];

/// How deleted accounts are shown.
const DELETED: &str = "deleted user";

/// Checks the name of a new user. The error is a sentence about `name`.
pub fn check_new_user(name: &str) -> Result<(), String> {
    check("name", name, limits::NAME_CHARS)?;
    // Compatibility forms, such as fullwidth ones, are typed and read like the characters they stand for.
    let plain: String = name.nfkc().collect();
    if plain.chars().all(|c| c.is_numeric() && !c.is_alphabetic()) {
        return Err("`name` must not consist of digits only, as digits mean an id; add a letter".to_owned());
    }
    if let Some(reserved) = plain.chars().find(|c| RESERVED.contains(c)) {
        return Err(format!("`name` must not contain `{reserved}`, which has a meaning in commands"));
    }
    if plain.starts_with('-') {
        return Err("`name` must not begin with `-`, which begins an option".to_owned());
    }
    if alike::skeletons(name).iter().any(|skeleton| skeleton.starts_with(DELETED)) {
        return Err(format!("`name` must not begin with `{DELETED}`, which stands for deleted accounts"));
    }
    if !is_highly_restrictive(name) {
        return Err("`name` must not mix letters of different scripts, such as Latin and Cyrillic".to_owned());
    }
    Ok(())
}

/// Whether the letters are of one script, or of a mixture in common use: Latin with Chinese, Japanese or Korean (the
/// level "highly restrictive" of UTS #39, section 5.2). Spaces, digits, punctuation and emoji go with every script, as do
/// characters that this version of Unicode does not know.
fn is_highly_restrictive(name: &str) -> bool {
    if name.is_ascii() {
        return true;
    }
    let (mut all, mut all_but_latin) = (AugmentedScriptSet::default(), AugmentedScriptSet::default());
    for c in name.chars().filter(|c| c.script() != Script::Unknown) {
        let scripts = AugmentedScriptSet::for_char(c);
        all.intersect_with(scripts);
        if !scripts.base.contains_script(Script::Latin) {
            all_but_latin.intersect_with(scripts);
        }
    }
    !all.is_empty() || all_but_latin.hanb || all_but_latin.jpan || all_but_latin.kore
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_of_any_script_are_accepted() {
        for name in [
            "alice",
            "Zhang San",
            "o'neil",
            "a-b",
            "x_1",
            "7a",
            "张三",
            "张san",
            "田中さん",
            "タナカ taro",
            "김철수 kim",
            "Иван",
            "Ελένη",
            "محمد",
            "नेहा",
            "ไทย",
            "José",
            "🙂",
            "ann 👩\u{200d}🚀",
            "a.b",
            "一二三",
            "ab-cd-12",
            "½x",
        ] {
            assert_eq!(check_new_user(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_read_as_something_else_are_refused() {
        for (name, says) in [
            ("1", "digits only"),
            ("007", "digits only"),
            ("１２", "digits only"),
            ("١٢٣", "digits only"),
            ("①", "digits only"),
            ("alice:bob", "`:`"),
            ("张：三", "`:`"),
            ("a/b", "`/`"),
            ("／help", "`/`"),
            ("@all", "`@`"),
            ("#7", "`#`"),
            ("a,b", "`,`"),
            ("say \"x\"", "`\"`"),
            ("-x", "`-`"),
            ("－x", "`-`"),
            ("deleted user 7", "deleted accounts"),
            ("Deleted User", "deleted accounts"),
            ("dеlеtеd usеr 7", "deleted accounts"),
            ("аlice", "scripts"),
            ("αlice", "scripts"),
            ("张Иван", "scripts"),
            ("김さん", "scripts"),
            ("ali\u{200b}ce", "U+200B"),
            ("alice\u{e0001}", "U+E0001"),
            ("\u{3164}", "U+3164"),
            ("می\u{200c}خواهم", "U+200C"),
            ("1\u{fe0f}", "U+FE0F"),
            ("", "1 to 50"),
        ] {
            let sentence = check_new_user(name).expect_err(name);
            assert!(sentence.starts_with("`name` must ") && sentence.contains(says), "{name:?}: {sentence}");
        }
    }
}
