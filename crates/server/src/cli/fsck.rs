use clap::Args;

#[derive(Debug, Args)]
pub(super) struct FsckArgs {}

pub(super) async fn run(_args: FsckArgs) -> anyhow::Result<u8> {
    anyhow::bail!("not here")
}
