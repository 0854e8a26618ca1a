//! The cache of compiled programs: the same source in the same language, compiled by the same toolchain with the
//! same flags, is the same program.
//!
//! It is in memory, as programs are anyway, and lives as long as the judge, which asks toolchains for their versions
//! only at its start. Its size in bytes is bounded. If several submissions need the same program at the same time,
//! one compiles it and the others wait. Failed compilations are not cached, since a limit may have been the reason.

use std::sync::Arc;

use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::host::error::SandboxError;
use crate::host::program::{Compilation, Program};
use crate::language::Language;

/// The digest of everything that determines a program.
pub(crate) type ProgramKey = [u8; 32];

/// The compiled programs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ProgramCache(Cache<ProgramKey, Program>);

/// Why a compilation made no program.
enum CompileFailure {
    Rejected(Vec<u8>),
    Fault(SandboxError),
}

impl ProgramCache {
    /// A cache for at most this many bytes of programs.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let weigh = |_: &ProgramKey, program: &Program| u32::try_from(program.bytes()).unwrap_or(u32::MAX);
        Self(Cache::builder().weigher(weigh).max_capacity(max_bytes).build())
    }

    /// Returns the program with this key: from the cache, from another compilation that is in progress, or from
    /// `compile`. Returns `None` if the sandbox failed during the other compilation.
    pub(crate) async fn get(
        &self,
        key: ProgramKey,
        compile: impl Future<Output = Result<Compilation, SandboxError>> + Send,
    ) -> Option<Result<Compilation, SandboxError>> {
        let make = async {
            match compile.await {
                Ok(Compilation::Ready(program)) => Ok(program),
                Ok(Compilation::Failed { output }) => Err(CompileFailure::Rejected(output)),
                Err(fault) => Err(CompileFailure::Fault(fault)),
            }
        };
        match self.0.try_get_with(key, make).await.map_err(Arc::try_unwrap) {
            Ok(program) => Some(Ok(Compilation::Ready(program))),
            Err(Ok(CompileFailure::Rejected(output))) => Some(Ok(Compilation::Failed { output })),
            Err(Ok(CompileFailure::Fault(fault))) => Some(Err(fault)),
            Err(Err(shared)) => match &*shared {
                CompileFailure::Rejected(output) => Some(Ok(Compilation::Failed { output: output.clone() })),
                CompileFailure::Fault(_) => None,
            },
        }
    }
}

/// The key of a source in a language; `version` is what the toolchain printed as its version.
pub(crate) fn key(language: &Language, version: &str, source: &[u8]) -> ProgramKey {
    // The whole entry, since a program also holds how it is run.
    let entry = format!("{language:?}");
    let mut digest = Sha256::new();
    for part in [entry.as_bytes(), version.as_bytes(), source] {
        // Each part is preceded by its length, so that two different lists of parts never give the same bytes.
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
    fn key_depends_on_source_version_flags_and_environment() {
        let languages = Languages::default();
        let c: &Language = languages.entries().iter().find(|language| language.ids.contains(&50)).unwrap();
        let mut flags = c.clone();
        flags.compile.push("-O3".to_owned());
        let mut environment = c.clone();
        environment.environment.push("A=b".to_owned());
        let mut shifted = c.clone();
        shifted.environment.push(shifted.compile.pop().unwrap());
        let mut fallbacks = c.clone();
        fallbacks.compile_fallbacks.push(c.compile.clone());
        let keys = [
            key(c, "12", b"int main(){}"),
            key(c, "13", b"int main(){}"),
            key(c, "12", b"int main(){ }"),
            key(&flags, "12", b"int main(){}"),
            key(&fallbacks, "12", b"int main(){}"),
            key(&environment, "12", b"int main(){}"),
            key(&shifted, "12", b"int main(){}"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0], key(c, "12", b"int main(){}"));
    }
}
