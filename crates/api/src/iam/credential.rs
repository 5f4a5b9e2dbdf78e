//! Kinds of credentials that nobody has here. Clients that delete a user ask for them first.

use opentrail_wire::iam::{
    ListMFADevicesInput, ListMFADevicesOutput, ListSSHPublicKeysInput, ListSSHPublicKeysOutput,
    ListServiceSpecificCredentialsInput, ListServiceSpecificCredentialsOutput, ListSigningCertificatesInput,
    ListSigningCertificatesOutput,
};

use super::Outcome;
use super::asked::{Asked, Circumstances};

/// A user's devices of a second factor: none.
pub(super) fn list_mfa_devices(asked: &Asked<'_>, input: &ListMFADevicesInput) -> Outcome<ListMFADevicesOutput> {
    check(asked, input.user_name.as_deref())?;
    Ok(ListMFADevicesOutput { is_truncated: Some(false), ..Default::default() })
}

/// A user's SSH keys: none.
pub(super) fn list_ssh_public_keys(
    asked: &Asked<'_>,
    input: &ListSSHPublicKeysInput,
) -> Outcome<ListSSHPublicKeysOutput> {
    check(asked, input.user_name.as_deref())?;
    let ssh_public_keys = Some(Vec::new());
    Ok(ListSSHPublicKeysOutput { ssh_public_keys, is_truncated: Some(false), marker: None })
}

/// Credentials for single services: none.
pub(super) fn list_service_specific_credentials(
    asked: &Asked<'_>,
    input: &ListServiceSpecificCredentialsInput,
) -> Outcome<ListServiceSpecificCredentialsOutput> {
    if input.all_users == Some(true) {
        asked.authorize(&asked.arn("user", "/", "*"), None, &Circumstances::default())?;
    } else {
        check(asked, input.user_name.as_deref())?;
    }
    let service_specific_credentials = Some(Vec::new());
    Ok(ListServiceSpecificCredentialsOutput { service_specific_credentials, is_truncated: Some(false), marker: None })
}

/// A user's X.509 certificates: none.
pub(super) fn list_signing_certificates(
    asked: &Asked<'_>,
    input: &ListSigningCertificatesInput,
) -> Outcome<ListSigningCertificatesOutput> {
    check(asked, input.user_name.as_deref())?;
    Ok(ListSigningCertificatesOutput { is_truncated: Some(false), ..Default::default() })
}

/// Checks that there is such a user, whom the caller may ask about; without a name, the caller.
fn check(asked: &Asked<'_>, user: Option<&str>) -> Outcome<()> {
    if user.is_none() && asked.own_name()?.is_none() {
        return Ok(());
    }
    asked.user_or_own(user).map(|_| ())
}
