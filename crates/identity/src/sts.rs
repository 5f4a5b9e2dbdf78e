//! `AssumeRole` and `GetSessionToken`: who gets temporary credentials, for how long.
//! (AWS STS API Reference, the pages of those names.)

use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{Arn, Timestamp};
use opentrail_runtime::Random;

use crate::authorize::AccessRequest;
use crate::context::{Context, Facts};
use crate::policy::{Policy, PolicyUse, Question, Requester, Verdict};
use crate::principal::{Principal, PrincipalKind};
use crate::session::{Credentials, NewSession, Sealer, Who};
use crate::{Directory, PolicyError, Role};

const ASSUME_ROLE: &str = "sts:AssumeRole";
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";
const HOUR_SECONDS: i64 = 3600;

/// The parameters of `AssumeRole`, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct AssumeRole<'a> {
    /// `RoleArn`.
    pub role_arn: &'a str,
    /// `RoleSessionName`.
    pub session_name: &'a str,
    /// `DurationSeconds`: 900 to the role's longest session; one hour when absent.
    pub duration_seconds: Option<i64>,
    /// `Policy`: narrows the session.
    pub policy: Option<&'a str>,
    /// `ExternalId`, which the trust policy may ask for.
    pub external_id: Option<&'a str>,
    /// `SourceIdentity`, which stays with the session and those it starts.
    pub source_identity: Option<&'a str>,
    /// `SerialNumber` of a second factor. There are none here, so that one given is one that fails.
    pub serial_number: Option<&'a str>,
    /// `TokenCode` of that factor.
    pub token_code: Option<&'a str>,
}

/// The parameters of `GetSessionToken`, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetSessionToken<'a> {
    /// `DurationSeconds`: 900 to 129,600; 12 hours when absent. The root's sessions last one hour at most.
    pub duration_seconds: Option<i64>,
    /// `SerialNumber` of a second factor. There are none here, so that one given is one that fails.
    pub serial_number: Option<&'a str>,
    /// `TokenCode` of that factor.
    pub token_code: Option<&'a str>,
}

/// A role that was assumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumed {
    /// To act as the role.
    pub credentials: Credentials,
    /// `AssumedRoleUser.AssumedRoleId`: `AROA…:session`.
    pub assumed_role_id: String,
    /// `AssumedRoleUser.Arn`: the session's.
    pub arn: Arn,
    /// The role's own ARN.
    pub role_arn: Arn,
    /// `PackedPolicySize`: how much of the room for a session policy is used, in per cent; with a policy only.
    pub packed_policy_percent: Option<u8>,
    /// `SourceIdentity` of the session, also when it comes from the caller's.
    pub source_identity: Option<String>,
}

/// Why no credentials are given. The text is AWS's, for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    /// A parameter breaks its bounds: `ValidationError`.
    #[error("{message}")]
    Validation {
        /// Which, and what would be right.
        message: String,
    },
    /// The caller may not: `AccessDenied`.
    #[error("{message}")]
    AccessDenied {
        /// Who may not do what.
        message: String,
    },
    /// The session policy is not one: `MalformedPolicyDocument`.
    #[error("{0}")]
    MalformedPolicy(PolicyError),
    /// The session policy is too long: `PackedPolicyTooLarge`.
    #[error("Packed policy consumes {percent}% of allotted space, please use smaller policy.")]
    PackedPolicyTooLarge {
        /// How much it needs of the room there is.
        percent: usize,
    },
    /// The directory was built without a sealer: a fault of the server.
    #[error("this directory has nothing to seal session tokens with")]
    NoSealer,
}

impl Directory {
    /// Lets `principal` act as a role. `context` holds the request's condition keys; `sts:ExternalId`,
    /// `sts:RoleSessionName` and `sts:SourceIdentity` are added.
    ///
    /// The role's trust policy must allow the caller; unless it names the caller as such, the caller's own policies must
    /// allow `sts:AssumeRole` too. A role that does not exist is denied like one that may not be assumed.
    ///
    /// # Errors
    /// [`StsError`], the bounds of the parameters first.
    pub fn assume_role(
        &self,
        principal: &Principal,
        input: &AssumeRole<'_>,
        context: &Context,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Assumed, StsError> {
        let sealer = self.sealer.as_deref().ok_or(StsError::NoSealer)?;
        check_assume_role(input)?;
        if matches!(principal.kind, PrincipalKind::Root | PrincipalKind::RootSession) {
            return Err(StsError::AccessDenied { message: "Roles may not be assumed by root accounts.".to_owned() });
        }
        refuse_second_factor(input.serial_number, input.token_code)?;
        let policy_percent = input.policy.map(check_session_policy).transpose()?;
        let open = |role: &Arc<Role>| self.account(role.account).is_some_and(|account| !account.is_closed());
        let role =
            self.role(input.role_arn).filter(open).ok_or_else(|| denied(principal, ASSUME_ROLE, input.role_arn))?;
        let source_identity = self.check_trust(principal, &role, input, context)?;
        let seconds = session_seconds(principal, &role, input.duration_seconds)?;
        let issued = now.floor_secs();
        let credentials = NewSession {
            account: role.account,
            who: Who::Role {
                name: role.name.clone(),
                path: role.path.clone(),
                id: role.id.clone(),
                session: input.session_name.to_owned(),
            },
            issued,
            expires: issued + Duration::from_secs(seconds),
            mfa: false,
            source_identity: source_identity.clone(),
            policy: input.policy,
            source_access_key_id: &principal.access_key_id,
        }
        .issue(random, sealer);
        let arn = format!("arn:aws:sts::{}:assumed-role/{}/{}", role.account, role.name, input.session_name);
        Ok(Assumed {
            credentials,
            assumed_role_id: format!("{}:{}", role.id, input.session_name),
            arn: arn.parse().expect("an ARN put together from its parts has six of them"),
            role_arn: role.arn(),
            packed_policy_percent: policy_percent,
            source_identity,
        })
    }

    /// The source identity of the session, once the trust policy and the caller's own let the role be assumed.
    fn check_trust(
        &self,
        principal: &Principal,
        role: &Role,
        input: &AssumeRole<'_>,
        context: &Context,
    ) -> Result<Option<String>, StsError> {
        let inherited = principal.session.as_ref().and_then(|session| session.source_identity.as_deref());
        if let (Some(inherited), Some(asked)) = (inherited, input.source_identity)
            && inherited != asked
        {
            // Once set it stays for the whole chain of roles. (IAM User Guide, "Monitor and control actions taken with
            // assumed roles".)
            return Err(denied(principal, SET_SOURCE_IDENTITY, input.role_arn));
        }
        let source_identity = inherited.or(input.source_identity);
        let mut context = context.clone();
        context.insert("sts:RoleSessionName", input.session_name);
        if let Some(external_id) = input.external_id {
            context.insert("sts:ExternalId", external_id);
        }
        if let Some(source_identity) = source_identity {
            context.insert("sts:SourceIdentity", source_identity);
        }
        let actions = [Some(ASSUME_ROLE), source_identity.map(|_| SET_SOURCE_IDENTITY)];
        for action in actions.into_iter().flatten() {
            let request = AccessRequest {
                action,
                resource: input.role_arn,
                context: &context,
                resource_policy: Some(role.trust.policy()),
                resource_account: Some(role.account),
            };
            if !self.trusts(role, principal, &request) || !self.authorize(principal, &request).is_allowed() {
                return Err(denied(principal, action, input.role_arn));
            }
        }
        Ok(source_identity.map(str::to_owned))
    }

    /// Whether the trust policy allows the caller. In one account an identity's policy would suffice for other
    /// resources; for a role its trust policy must always agree.
    fn trusts(&self, role: &Role, principal: &Principal, request: &AccessRequest<'_>) -> bool {
        let caller = self.caller_context(principal);
        let facts = Facts::new(&caller, request.context);
        let action = request.action.to_ascii_lowercase();
        let requester = Requester::Identity(principal);
        let question = Question { action: &action, resource: request.resource, requester, facts: &facts };
        matches!(role.trust.policy().verdict(&question), Verdict::Allow(_))
    }

    /// Gives `principal` temporary credentials of its own.
    ///
    /// # Errors
    /// [`StsError`]: out of bounds, or the caller's credentials are temporary already.
    pub fn session_token(
        &self,
        principal: &Principal,
        input: &GetSessionToken<'_>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Credentials, StsError> {
        let sealer: &dyn Sealer = self.sealer.as_deref().ok_or(StsError::NoSealer)?;
        let mut violations = Violations::default();
        violations.check_duration(input.duration_seconds, 129_600);
        violations.check_second_factor(input.serial_number, input.token_code);
        violations.finish()?;
        let asked = input.duration_seconds.unwrap_or(43_200);
        let (who, seconds) = match &principal.kind {
            PrincipalKind::Root => (Who::Root, asked.min(HOUR_SECONDS)),
            PrincipalKind::User { name, path, id } => {
                (Who::User { name: name.clone(), path: path.clone(), id: id.clone() }, asked)
            }
            PrincipalKind::RootSession | PrincipalKind::UserSession { .. } | PrincipalKind::AssumedRole { .. } => {
                let message = "Cannot call GetSessionToken with session credentials".to_owned();
                return Err(StsError::AccessDenied { message });
            }
        };
        refuse_second_factor(input.serial_number, input.token_code)?;
        let issued = now.floor_secs();
        let session = NewSession {
            account: principal.account,
            who,
            issued,
            expires: issued + Duration::from_secs(seconds.unsigned_abs()),
            mfa: false,
            source_identity: None,
            policy: None,
            source_access_key_id: &principal.access_key_id,
        };
        Ok(session.issue(random, sealer))
    }
}

fn denied(principal: &Principal, action: &str, resource: &str) -> StsError {
    let message = format!("User: {} is not authorized to perform: {action} on resource: {resource}", principal.arn());
    StsError::AccessDenied { message }
}

fn refuse_second_factor(serial_number: Option<&str>, token_code: Option<&str>) -> Result<(), StsError> {
    if serial_number.is_none() && token_code.is_none() {
        return Ok(());
    }
    let message = "MultiFactorAuthentication failed, unable to validate MFA code. \
                   Please verify your MFA serial number is valid and associated with this user.";
    Err(StsError::AccessDenied { message: message.to_owned() })
}

/// How long the session lasts, or why not as long as asked.
fn session_seconds(principal: &Principal, role: &Role, asked: Option<i64>) -> Result<u64, StsError> {
    let seconds = asked.unwrap_or(HOUR_SECONDS);
    let chained = matches!(principal.kind, PrincipalKind::AssumedRole { .. });
    let problem = if chained && seconds > HOUR_SECONDS {
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    } else if seconds.unsigned_abs() > role.max_session.as_secs() {
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    } else {
        return Ok(seconds.unsigned_abs());
    };
    Err(StsError::Validation { message: problem.to_owned() })
}

/// How much of its room the policy takes, in per cent.
fn check_session_policy(text: &str) -> Result<u8, StsError> {
    let max = PolicyUse::Session.max_characters();
    let length = PolicyUse::Session.length(text);
    let percent = (length * 100).div_ceil(max);
    if length > max {
        return Err(StsError::PackedPolicyTooLarge { percent });
    }
    Policy::parse(text, PolicyUse::Session).map_err(StsError::MalformedPolicy)?;
    Ok(u8::try_from(percent).unwrap_or(100))
}

fn check_assume_role(input: &AssumeRole<'_>) -> Result<(), StsError> {
    let mut violations = Violations::default();
    violations.check_length("roleArn", input.role_arn, 20, 2048);
    violations.check_length("roleSessionName", input.session_name, 2, 64);
    violations.check_letters("roleSessionName", input.session_name, b"_+=,.@-", r"[\w+=,.@-]*");
    violations.check_duration(input.duration_seconds, 43_200);
    if let Some(external_id) = input.external_id {
        violations.check_length("externalId", external_id, 2, 1224);
        violations.check_letters("externalId", external_id, b"_+=,.@:/-", r"[\w+=,.@:\/-]*");
    }
    if let Some(source_identity) = input.source_identity {
        violations.check_length("sourceIdentity", source_identity, 2, 64);
        violations.check_letters("sourceIdentity", source_identity, b"_+=,.@-", r"[\w+=,.@-]*");
    }
    violations.check_policy(input.policy);
    violations.check_second_factor(input.serial_number, input.token_code);
    violations.finish()?;
    let role = input.role_arn.parse::<Arn>().ok();
    if role.is_some_and(|arn| arn.service() == "iam" && arn.resource().starts_with("role/")) {
        return Ok(());
    }
    Err(StsError::Validation { message: format!("{} is invalid", input.role_arn) })
}

/// Bounds that parameters break, told together as AWS does.
#[derive(Default)]
struct Violations(Vec<String>);

impl Violations {
    fn add(&mut self, name: &str, value: &str, must: &str) {
        self.0.push(format!("Value '{value}' at '{name}' failed to satisfy constraint: Member must {must}"));
    }

    fn check_length(&mut self, name: &str, value: &str, min: usize, max: usize) {
        let length = value.chars().count();
        if length < min {
            self.add(name, value, &format!("have length greater than or equal to {min}"));
        } else if length > max {
            self.add(name, value, &format!("have length less than or equal to {max}"));
        }
    }

    fn check_letters(&mut self, name: &str, value: &str, also: &[u8], pattern: &str) {
        if !value.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b)) {
            self.add(name, value, &format!("satisfy regular expression pattern: {pattern}"));
        }
    }

    /// Latin-1 without control characters. The value is not repeated: it may be long.
    fn check_policy(&mut self, policy: Option<&str>) {
        let good = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
        if policy.is_some_and(|text| text.is_empty() || !text.chars().all(good)) {
            let pattern = r"[\u0009\u000A\u000D\u0020-\u00FF]+";
            let must = format!("Member must satisfy regular expression pattern: {pattern}");
            self.0.push(format!("Value at 'policy' failed to satisfy constraint: {must}"));
        }
    }

    fn check_duration(&mut self, seconds: Option<i64>, max: i64) {
        match seconds {
            Some(seconds) if seconds < 900 => {
                self.add("durationSeconds", &seconds.to_string(), "have value greater than or equal to 900");
            }
            Some(seconds) if seconds > max => {
                let must = format!("have value less than or equal to {max}");
                self.add("durationSeconds", &seconds.to_string(), &must);
            }
            _ => {}
        }
    }

    fn check_second_factor(&mut self, serial_number: Option<&str>, token_code: Option<&str>) {
        if let Some(serial) = serial_number {
            self.check_length("serialNumber", serial, 9, 256);
        }
        if let Some(code) = token_code {
            self.check_length("tokenCode", code, 6, 6);
        }
    }

    fn finish(self) -> Result<(), StsError> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let errors = if count == 1 { "error" } else { "errors" };
        Err(StsError::Validation { message: format!("{count} validation {errors} detected: {}", self.0.join("; ")) })
    }
}

#[cfg(test)]
mod tests;
