use std::fmt;
use std::str::FromStr;

/// One `--set SECTION.KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub section: String,
    pub key: String,
    /// As typed: TOML, or a bare string.
    pub value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Setting, Self::Err> {
        let form = "must have the form SECTION.KEY=VALUE, like log.level=debug";
        let (name, value) = text.split_once('=').ok_or(form)?;
        let (section, key) = name.trim().split_once('.').ok_or(form)?;
        if section.is_empty() || key.is_empty() {
            return Err(form);
        }
        Ok(Setting { section: section.to_owned(), key: key.to_owned(), value: value.trim().to_owned() })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.section, self.key, self.value)
    }
}

impl Setting {
    pub fn is(&self, section: &str, key: &str) -> bool {
        (&*self.section, &*self.key) == (section, key)
    }

    /// The same without a password, for messages.
    pub(super) fn redacted(&self) -> Setting {
        Setting { value: storage::without_password(&self.value), ..self.clone() }
    }
}
