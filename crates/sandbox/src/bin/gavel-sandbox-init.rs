//! The init of the sandbox's own tests, and a way to try the sandbox by hand: `gavel-sandbox-init ID FILE` compiles and
//! runs FILE as the language with this Judge0 id, on the tier that `SANDBOX_TIER` names. Without arguments it prints
//! what the machine offers.

fn main() -> std::process::ExitCode {
    gavel_sandbox::init::enter_if_asked();
    let mut arguments = std::env::args().skip(1);
    let (id, file) = (arguments.next().and_then(|id| id.parse().ok()), arguments.next());
    let tier = std::env::var("SANDBOX_TIER").map_or(Ok(gavel_sandbox::TierChoice::Auto), |name| name.parse());
    let (Ok(tier), Ok(runtime)) = (tier, tokio::runtime::Builder::new_current_thread().enable_all().build())
    else {
        eprintln!("usage: [SANDBOX_TIER=NAME] gavel-sandbox-init [LANGUAGE_ID SOURCE_FILE]");
        return std::process::ExitCode::from(64);
    };
    let config = gavel_sandbox::SandboxConfig { slots: 1, tier, ..Default::default() };
    let (Some(id), Some(file)) = (id, file) else {
        for check in runtime.block_on(gavel_sandbox::probe(&config)) {
            println!("{check}");
        }
        return std::process::ExitCode::SUCCESS;
    };
    // To check the other toolchains takes longer than most programs run.
    let config = gavel_sandbox::SandboxConfig { languages: config.languages.only(&[id]), ..config };
    match runtime.block_on(compile_and_run(config, id, &file)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn compile_and_run(
    config: gavel_sandbox::SandboxConfig,
    id: u32,
    file: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    use gavel_sandbox::{Compilation, RunLimits, Sandbox};
    let source = std::fs::read(file)?;
    let sandbox = Sandbox::start(config).await?;
    println!("{}", sandbox.tier());
    for language in sandbox.languages() {
        println!("{} {} {}", language.id, language.name, language.version);
    }
    let mut workspace = sandbox.workspace().await?;
    match workspace.compile(gavel_domain::LanguageId(id), &source).await? {
        Compilation::Failed { output } => println!("{}", String::from_utf8_lossy(&output)),
        Compilation::Ready(program) => {
            let run = workspace.run(&program, bytes::Bytes::new(), &RunLimits::default()).await?;
            println!("{:?} {:?}", run.outcome, run.usage);
            print!("{}", String::from_utf8_lossy(&run.stdout));
            eprint!("{}", String::from_utf8_lossy(&run.stderr));
        }
    }
    drop(workspace);
    sandbox.shutdown().await;
    Ok(())
}
