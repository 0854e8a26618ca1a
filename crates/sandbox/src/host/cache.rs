//! Programs that were compiled before: the same source in the same language, by the same toolchain with the same
//! flags, is the same program.
//!
//! Kept in memory, as programs are anyway, for as long as the judge lives: a toolchain's version is asked for at its
//! start. Bounded by bytes. Of several who want the same program at once, one compiles and the others wait. What did
//! not compile is not kept, since a limit may have been the reason.

use std::sync::Arc;

use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::host::error::SandboxError;
use crate::host::program::{Compilation, Program};
use crate::language::Language;

/// The digest of all that makes a program what it is.
pub(crate) type Key = [u8; 32];

/// The programs that are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Programs(Cache<Key, Program>);

/// Why there is no program.
enum NotMade {
    DidNotCompile(Vec<u8>),
    Fault(SandboxError),
}

impl Programs {
    /// Keeps programs of so many bytes in all.
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |_: &Key, program: &Program| u32::try_from(program.bytes()).unwrap_or(u32::MAX);
        Self(Cache::builder().weigher(weigh).max_capacity(bytes).build())
    }

    /// The program of this key: kept, or made by somebody else just now, or made by `compile`. `None` where
    /// somebody else tried and met a fault.
    pub(crate) async fn get(
        &self,
        key: Key,
        compile: impl Future<Output = Result<Compilation, SandboxError>> + Send,
    ) -> Option<Result<Compilation, SandboxError>> {
        let make = async {
            match compile.await {
                Ok(Compilation::Ready(program)) => Ok(program),
                Ok(Compilation::Failed { output }) => Err(NotMade::DidNotCompile(output)),
                Err(fault) => Err(NotMade::Fault(fault)),
            }
        };
        match self.0.try_get_with(key, make).await.map_err(Arc::try_unwrap) {
            Ok(program) => Some(Ok(Compilation::Ready(program))),
            Err(Ok(NotMade::DidNotCompile(output))) => Some(Ok(Compilation::Failed { output })),
            Err(Ok(NotMade::Fault(fault))) => Some(Err(fault)),
            Err(Err(shared)) => match &*shared {
                NotMade::DidNotCompile(output) => Some(Ok(Compilation::Failed { output: output.clone() })),
                NotMade::Fault(_) => None,
            },
        }
    }
}

/// The key of a source in a language whose toolchain says this of its version.
pub(crate) fn key(language: &Language, version: &str, source: &[u8]) -> Key {
    // The whole entry: a program knows how it is run, too.
    let entry = format!("{language:?}");
    let mut digest = Sha256::new();
    for part in [entry.as_bytes(), version.as_bytes(), source] {
        // With its length before it, no part can pass for a piece of another.
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Languages;

    #[test]
    fn whatever_makes_a_program_another_makes_its_key_another() {
        let languages = Languages::default();
        let c: &Language = languages.entries().iter().find(|language| language.ids.contains(&50)).unwrap();
        let mut flags = c.clone();
        flags.compile.push("-O3".to_owned());
        let mut environment = c.clone();
        environment.environment.push("A=b".to_owned());
        let mut shifted = c.clone();
        shifted.environment.push(shifted.compile.pop().unwrap());
        let keys = [
            key(c, "12", b"int main(){}"),
            key(c, "13", b"int main(){}"),
            key(c, "12", b"int main(){ }"),
            key(&flags, "12", b"int main(){}"),
            key(&environment, "12", b"int main(){}"),
            key(&shifted, "12", b"int main(){}"),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(keys[0], key(c, "12", b"int main(){}"));
    }
}
