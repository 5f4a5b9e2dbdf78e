//! Puts one audit event of an application into its channel.

use aws_sdk_cloudtraildata::Client;
use aws_sdk_cloudtraildata::types::AuditEvent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = std::env::var("CHANNEL_ARN").map_err(|_| "CHANNEL_ARN is not set")?;
    let owner = channel.split(':').nth(4).ok_or("CHANNEL_ARN is not the ARN of a channel")?;
    let event = json!({
        "version": "1.0",
        "UID": uuid::Uuid::new_v4().to_string(),
        "userIdentity": { "type": "CustomUserIdentity", "principalId": "alice", "details": { "team": "finance" } },
        "eventTime": chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "eventSource": "documents.example.com",
        "eventName": "DocumentDeleted",
        "requestParameters": { "document": "invoice-17" },
        "recipientAccountId": owner,
    })
    .to_string();
    let checksum = STANDARD.encode(Sha256::digest(&event));

    let client = Client::new(&aws_config::load_from_env().await);
    let audit = AuditEvent::builder().id("1").event_data(event).event_data_checksum(checksum).build()?;
    let answer = client.put_audit_events().channel_arn(&channel).audit_events(audit).send().await?;
    if let Some(failed) = answer.failed().first() {
        return Err(format!("{}: {}", failed.error_code(), failed.error_message()).into());
    }
    for done in answer.successful() {
        println!("{}", done.event_id());
    }
    Ok(())
}
