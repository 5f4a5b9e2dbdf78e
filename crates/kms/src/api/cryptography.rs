//! Operations that use a key.

use opentrail_wire::Blob;
use opentrail_wire::kms::{
    DecryptInput, DecryptOutput, EncryptInput, EncryptOutput, GenerateDataKeyInput, GenerateDataKeyOutput,
    GenerateDataKeyWithoutPlaintextInput, GenerateDataKeyWithoutPlaintextOutput, GenerateRandomInput,
    GenerateRandomOutput, ReEncryptInput, ReEncryptOutput,
};
use zeroize::Zeroizing;

use super::{Cx, refuse_grant_tokens};
use crate::ciphertext::Header;
use crate::context::EncryptionContext;
use crate::error::KmsError;
use crate::kms::no_key_of_ciphertext;

const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

pub(super) async fn encrypt(cx: &Cx<'_>, input: EncryptInput) -> Result<EncryptOutput, KmsError> {
    refuse_grant_tokens(input.grant_tokens)?;
    let context = input.encryption_context.unwrap_or_default();
    let found = cx.find(&input.key_id).await?;
    cx.kms.require_usable(cx.requester(), "kms:Encrypt", &found, &context)?;
    require_algorithm(input.encryption_algorithm.as_deref())?;
    let plaintext = Zeroizing::new(input.plaintext.0);
    require_length(&plaintext, 4096, "plaintext")?;
    refuse_dry_run(input.dry_run)?;
    Ok(EncryptOutput {
        ciphertext_blob: Some(Blob(cx.kms.seal(&found.key, &context, &plaintext)?)),
        key_id: Some(found.key.arn()),
        encryption_algorithm: Some(ALGORITHM.to_owned()),
    })
}

pub(super) async fn decrypt(cx: &Cx<'_>, input: DecryptInput) -> Result<DecryptOutput, KmsError> {
    refuse_grant_tokens(input.grant_tokens)?;
    refuse_recipient(input.recipient.is_some())?;
    if input.dry_run_modifiers.is_some_and(|modifiers| !modifiers.is_empty()) {
        return Err(KmsError::Unsupported("DryRunModifiers is not available.".to_owned()));
    }
    let missing = || KmsError::Validation("CiphertextBlob must be given.".to_owned());
    let blob = input.ciphertext_blob.ok_or_else(missing)?.0;
    let context = input.encryption_context.unwrap_or_default();
    require_algorithm(input.encryption_algorithm.as_deref())?;
    let opened = open(cx, "kms:Decrypt", &blob, &context, input.key_id.as_deref()).await?;
    refuse_dry_run(input.dry_run)?;
    Ok(DecryptOutput {
        key_id: Some(opened.key.arn()),
        plaintext: Some(Blob(opened.plaintext.to_vec())),
        encryption_algorithm: Some(ALGORITHM.to_owned()),
        key_material_id: Some(opened.material_id),
        ..DecryptOutput::default()
    })
}

/// Opens a ciphertext, which must be of the Region called.
async fn open(
    cx: &Cx<'_>,
    action: &'static str,
    blob: &[u8],
    context: &EncryptionContext,
    key_id: Option<&str>,
) -> Result<crate::kms::Opened, KmsError> {
    require_length(blob, 6144, "ciphertextBlob")?;
    let expected = match key_id {
        Some(text) => Some(cx.find(text).await?),
        None => None,
    };
    if let Some((header, ..)) = Header::split(blob) {
        cx.touch(header.place.arn());
        if header.place.region != *cx.region() {
            return Err(no_key_of_ciphertext());
        }
    }
    cx.kms.open(action, cx.requester(), blob, context, expected.as_ref()).await
}

pub(super) async fn re_encrypt(cx: &Cx<'_>, input: ReEncryptInput) -> Result<ReEncryptOutput, KmsError> {
    refuse_grant_tokens(input.grant_tokens)?;
    if input.dry_run_modifiers.is_some_and(|modifiers| !modifiers.is_empty()) {
        return Err(KmsError::Unsupported("DryRunModifiers is not available.".to_owned()));
    }
    require_algorithm(input.source_encryption_algorithm.as_deref())?;
    require_algorithm(input.destination_encryption_algorithm.as_deref())?;
    let missing = || KmsError::Validation("CiphertextBlob must be given.".to_owned());
    let blob = input.ciphertext_blob.ok_or_else(missing)?.0;
    let source_context = input.source_encryption_context.unwrap_or_default();
    let context = input.destination_encryption_context.unwrap_or_default();
    let opened = open(cx, "kms:ReEncryptFrom", &blob, &source_context, input.source_key_id.as_deref()).await?;
    let found = cx.find(&input.destination_key_id).await?;
    cx.kms.require_usable(cx.requester(), "kms:ReEncryptTo", &found, &context)?;
    refuse_dry_run(input.dry_run)?;
    Ok(ReEncryptOutput {
        ciphertext_blob: Some(Blob(cx.kms.seal(&found.key, &context, &opened.plaintext)?)),
        source_key_id: Some(opened.key.arn()),
        key_id: Some(found.key.arn()),
        source_encryption_algorithm: Some(ALGORITHM.to_owned()),
        destination_encryption_algorithm: Some(ALGORITHM.to_owned()),
        source_key_material_id: Some(opened.material_id),
        destination_key_material_id: Some(found.key.current().1.id.clone()),
    })
}

/// What both forms of GenerateDataKey are given.
struct DataKeyAsked {
    key_id: String,
    context: Option<EncryptionContext>,
    key_spec: Option<String>,
    bytes: Option<i32>,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

struct MadeDataKey {
    plaintext: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
    arn: String,
    material_id: String,
}

async fn make_data_key(cx: &Cx<'_>, action: &'static str, asked: DataKeyAsked) -> Result<MadeDataKey, KmsError> {
    refuse_grant_tokens(asked.grant_tokens)?;
    let length = match (asked.key_spec.as_deref(), asked.bytes) {
        (Some("AES_256"), None) => 32,
        (Some("AES_128"), None) => 16,
        (None, Some(bytes)) => usize::try_from(bytes).unwrap_or_default(),
        _ => return Err(KmsError::Validation("Please specify either number of bytes or key spec.".to_owned())),
    };
    let context = asked.context.unwrap_or_default();
    let found = cx.find(&asked.key_id).await?;
    cx.kms.require_usable(cx.requester(), action, &found, &context)?;
    refuse_dry_run(asked.dry_run)?;
    let mut plaintext = Zeroizing::new(vec![0; length]);
    cx.kms.random.fill(&mut plaintext);
    let sealed = cx.kms.seal(&found.key, &context, &plaintext)?;
    Ok(MadeDataKey { plaintext, sealed, arn: found.key.arn(), material_id: found.key.current().1.id.clone() })
}

pub(super) async fn generate_data_key(
    cx: &Cx<'_>,
    input: GenerateDataKeyInput,
) -> Result<GenerateDataKeyOutput, KmsError> {
    refuse_recipient(input.recipient.is_some())?;
    let asked = DataKeyAsked {
        key_id: input.key_id,
        context: input.encryption_context,
        key_spec: input.key_spec,
        bytes: input.number_of_bytes,
        grant_tokens: input.grant_tokens,
        dry_run: input.dry_run,
    };
    let made = make_data_key(cx, "kms:GenerateDataKey", asked).await?;
    Ok(GenerateDataKeyOutput {
        ciphertext_blob: Some(Blob(made.sealed)),
        plaintext: Some(Blob(made.plaintext.to_vec())),
        key_id: Some(made.arn),
        key_material_id: Some(made.material_id),
        ..GenerateDataKeyOutput::default()
    })
}

pub(super) async fn generate_data_key_without_plaintext(
    cx: &Cx<'_>,
    input: GenerateDataKeyWithoutPlaintextInput,
) -> Result<GenerateDataKeyWithoutPlaintextOutput, KmsError> {
    let asked = DataKeyAsked {
        key_id: input.key_id,
        context: input.encryption_context,
        key_spec: input.key_spec,
        bytes: input.number_of_bytes,
        grant_tokens: input.grant_tokens,
        dry_run: input.dry_run,
    };
    let made = make_data_key(cx, "kms:GenerateDataKeyWithoutPlaintext", asked).await?;
    Ok(GenerateDataKeyWithoutPlaintextOutput {
        ciphertext_blob: Some(Blob(made.sealed)),
        key_id: Some(made.arn),
        key_material_id: Some(made.material_id),
    })
}

pub(super) fn generate_random(cx: &Cx<'_>, input: GenerateRandomInput) -> Result<GenerateRandomOutput, KmsError> {
    cx.authorize_plainly("kms:GenerateRandom", "*")?;
    refuse_recipient(input.recipient.is_some())?;
    if input.custom_key_store_id.is_some() {
        return Err(KmsError::Unsupported("There are no custom key stores here.".to_owned()));
    }
    let missing = || KmsError::Validation("NumberOfBytes must be given.".to_owned());
    let length = usize::try_from(input.number_of_bytes.ok_or_else(missing)?).unwrap_or_default();
    let mut bytes = vec![0; length];
    cx.kms.random.fill(&mut bytes);
    Ok(GenerateRandomOutput { plaintext: Some(Blob(bytes)), ..GenerateRandomOutput::default() })
}

fn require_algorithm(algorithm: Option<&str>) -> Result<(), KmsError> {
    match algorithm {
        None | Some(ALGORITHM) => Ok(()),
        Some(other) => {
            let message = format!("Algorithm {other} is incompatible with key spec SYMMETRIC_DEFAULT.");
            Err(KmsError::InvalidKeyUsage(message))
        }
    }
}

fn require_length(bytes: &[u8], most: usize, member: &str) -> Result<(), KmsError> {
    let wrong = |rule: String| {
        let message = format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length {rule}"
        );
        Err(KmsError::Validation(message))
    };
    match bytes.len() {
        0 => wrong("greater than or equal to 1".to_owned()),
        length if length > most => wrong(format!("less than or equal to {most}")),
        _ => Ok(()),
    }
}

fn refuse_recipient(given: bool) -> Result<(), KmsError> {
    if given { Err(KmsError::Unsupported("Recipient (enclaves) is not available.".to_owned())) } else { Ok(()) }
}

/// The answer to a dry run that would have succeeded.
fn refuse_dry_run(dry_run: Option<bool>) -> Result<(), KmsError> {
    if dry_run == Some(true) { Err(KmsError::DryRun) } else { Ok(()) }
}
