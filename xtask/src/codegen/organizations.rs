//! The wire types of `organizations`.

use anyhow::Result;

use super::part::{Part, generate_part};
use crate::botocore::Botocore;
use crate::output::Output;

/// The operations whose shapes are written.
const OPERATIONS: &[&str] = &[
    "AcceptHandshake",
    "CancelHandshake",
    "CloseAccount",
    "CreateAccount",
    "CreateOrganization",
    "CreateOrganizationalUnit",
    "DeclineHandshake",
    "DeleteOrganization",
    "DeleteOrganizationalUnit",
    "DeregisterDelegatedAdministrator",
    "DescribeAccount",
    "DescribeCreateAccountStatus",
    "DescribeHandshake",
    "DescribeOrganization",
    "DescribeOrganizationalUnit",
    "DisableAWSServiceAccess",
    "EnableAWSServiceAccess",
    "EnableAllFeatures",
    "InviteAccountToOrganization",
    "LeaveOrganization",
    "ListAWSServiceAccessForOrganization",
    "ListAccounts",
    "ListAccountsForParent",
    "ListChildren",
    "ListCreateAccountStatus",
    "ListDelegatedAdministrators",
    "ListDelegatedServicesForAccount",
    "ListHandshakesForAccount",
    "ListHandshakesForOrganization",
    "ListOrganizationalUnitsForParent",
    "ListParents",
    "ListRoots",
    "ListTagsForResource",
    "MoveAccount",
    "RegisterDelegatedAdministrator",
    "RemoveAccountFromOrganization",
    "TagResource",
    "UntagResource",
    "UpdateOrganizationalUnit",
];

/// Errors that Organizations answers with a status other than 400.
const STATUSES: &[(&str, u16)] = &[("ServiceException", 500)];

/// Writes the files.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    generate_part(botocore, output, &Part { service: "organizations", operations: OPERATIONS, statuses: STATUSES })
}
