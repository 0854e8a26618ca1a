//! Which languages of the table this machine serves: those whose toolchains work inside the sandbox.

use std::sync::Arc;

use gavel_domain::{LanguageId, catalogue};

use crate::host::error::SandboxError;
use crate::host::program::Program;
use crate::language::{InstalledLanguage, Language, UnservedLanguage, VersionRule, is_older};

/// The result of asking a toolchain for its version.
pub(crate) enum ToolchainCheck {
    /// The toolchain's executable does not exist.
    Missing,
    /// It exists but does not work inside the sandbox; the text is what it printed.
    Broken(String),
    /// It works, but the language's front end cannot be built with it; the text is what the toolchain printed.
    NoFrontEnd(String),
    /// It works.
    Works {
        /// What the toolchain printed as its version.
        printed: String,
        /// The language's front end, if it has one.
        front_end: Option<Program>,
    },
}

/// An entry of the table with the ids that are served.
#[derive(Clone, Debug)]
pub(crate) struct ServedLanguage {
    pub(super) entry: Arc<Language>,
    /// The program that compiles submissions, if it is one of the sandbox.
    pub(super) front_end: Option<Program>,
}

/// The languages that are served, and why the others are not.
#[derive(Debug, Default)]
pub(crate) struct Toolchains {
    pub(super) installed: Vec<InstalledLanguage>,
    pub(super) unserved: Vec<UnservedLanguage>,
    served: Vec<ServedLanguage>,
}

impl Toolchains {
    /// What the toolchain of a served language printed as its version.
    pub(super) fn version(&self, id: LanguageId) -> &str {
        self.installed.iter().find(|installed| installed.id == id).map_or("", |installed| &installed.version)
    }

    /// The entry of a served language.
    ///
    /// # Errors
    /// Returns [`SandboxError::NotServed`] if the language is not served.
    pub(super) fn served(&self, language: LanguageId) -> Result<&ServedLanguage, SandboxError> {
        let served = self.served.iter().find(|served| served.entry.ids.contains(&language.0));
        served.ok_or_else(|| {
            let known = self.unserved.iter().find(|unserved| unserved.ids.contains(&language));
            let reason =
                known.map_or("add it to the file that SANDBOX_LANGUAGES names", |known| &known.reason);
            SandboxError::NotServed { language, reason: reason.to_owned() }
        })
    }

    /// Adds an entry of the table: serves the ids that its toolchain may serve under `rule`, and records why it does
    /// not serve the others.
    pub(super) fn add(&mut self, language: &Arc<Language>, check: &ToolchainCheck, rule: VersionRule) {
        let (output, front_end) = match check {
            ToolchainCheck::Works { printed, front_end } => (printed, front_end),
            ToolchainCheck::Missing => {
                return self.add_unserved(language, &language.ids, language.missing_reason());
            }
            ToolchainCheck::Broken(printed) => {
                let reason =
                    format!("{} does not work in the sandbox: {printed}", language.version.join(" "));
                return self.add_unserved(language, &language.ids, reason);
            }
            ToolchainCheck::NoFrontEnd(printed) => {
                let reason =
                    format!("its toolchain cannot build the sandbox's compiler front end: {printed}");
                return self.add_unserved(language, &language.ids, reason);
            }
        };
        let first_line = output.lines().next().unwrap_or_default().trim();
        let version = catalogue::version_in(output).unwrap_or(first_line);
        let required_version = |id: &u32| {
            let required = catalogue::version(LanguageId(*id)).filter(|_| rule == VersionRule::AtLeast);
            required.filter(|required| is_older(version, required))
        };
        let mut served = Language::clone(language);
        served.ids.retain(|id| required_version(id).is_none());
        for id in &language.ids {
            if let Some(required) = required_version(id) {
                let reason = format!(
                    "the id requires version {required}, version {version} is installed, and \
                     LANGUAGE_VERSIONS=at-least rejects older versions"
                );
                self.add_unserved(language, &[*id], reason);
            }
        }
        self.installed.extend(served.ids.iter().map(|id| InstalledLanguage {
            id: LanguageId(*id),
            name: language.name.clone(),
            version: version.to_owned(),
        }));
        self.served.push(ServedLanguage { entry: Arc::new(served), front_end: front_end.clone() });
    }

    fn add_unserved(&mut self, language: &Language, ids: &[u32], reason: String) {
        let ids = ids.iter().copied().map(LanguageId).collect();
        self.unserved.push(UnservedLanguage { ids, name: language.name.clone(), reason });
    }
}
