use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Params;
use crate::json::typed;
use crate::shape::{InputError, Shape, Validate, check};
use crate::sigv4::QueryError;

/// Reads an operation's input from the parameters, as the service model spells its members: `Tags.member.1.Key`.
///
/// # Errors
/// `MalformedInput` for what is no number or truth value where one belongs, `ValidationError` in AWS's words for values
/// that break constraints of the model.
pub fn read_input<T: DeserializeOwned + Validate>(params: &Params) -> Result<T, QueryError> {
    let mut value = value_of(T::shape(), params)?;
    let told = |error: InputError| match error {
        InputError::Invalid(_) => QueryError::validation(error.to_string()),
        InputError::Serialization(message) => malformed(message),
    };
    check(T::shape(), &mut value).map_err(told)?;
    typed(value).map_err(told)
}

/// The parameters as one value of that shape; not yet checked against its constraints.
///
/// # Errors
/// `MalformedInput` for what is no number or truth value where one belongs.
pub fn value_of(shape: &Shape, params: &Params) -> Result<Value, QueryError> {
    Ok(build(shape, params, "")?.unwrap_or_else(|| Value::Object(Map::new())))
}

/// The value named `name` (all parameters, when it is empty); `None` when nothing of it is there.
fn build(shape: &Shape, params: &Params, name: &str) -> Result<Option<Value>, QueryError> {
    let text = || params.find(name);
    Ok(match shape {
        Shape::Structure(members) => {
            let mut object = Map::new();
            for member in *members {
                let path = if name.is_empty() { member.name.to_owned() } else { format!("{name}.{}", member.name) };
                if let Some(value) = build(member.shape, params, &path)? {
                    object.insert(member.name.to_owned(), value);
                }
            }
            (!object.is_empty() || params.has_below(name)).then_some(Value::Object(object))
        }
        Shape::List(list) => {
            let mut items = Vec::new();
            while let Some(item) = build(list.element, params, &format!("{name}.member.{}", items.len() + 1))? {
                items.push(item);
            }
            // SDKs spell an empty list as an empty value.
            (!items.is_empty() || text().is_some()).then_some(Value::Array(items))
        }
        Shape::Map(map) => {
            let mut entries = Map::new();
            let (key_name, value_name) = map.names;
            for index in 1.. {
                let Some(key) = params.find(&format!("{name}.entry.{index}.{key_name}")) else { break };
                let value = build(map.value, params, &format!("{name}.entry.{index}.{value_name}"))?;
                entries.insert(key.to_owned(), value.unwrap_or_default());
            }
            (!entries.is_empty()).then_some(Value::Object(entries))
        }
        Shape::Text(_) | Shape::Blob | Shape::Timestamp => text().map(Value::from),
        Shape::Boolean => match text() {
            None => None,
            Some("true") => Some(true.into()),
            Some("false") => Some(false.into()),
            Some(_) => return Err(malformed(format!("{name} must be true or false"))),
        },
        Shape::Whole(_) => match text().map(str::parse::<i64>) {
            None => None,
            Some(Ok(number)) => Some(number.into()),
            Some(Err(_)) => return Err(malformed(format!("{name} must be a whole number"))),
        },
        Shape::Real => match text().map(str::parse::<f64>) {
            None => None,
            Some(Ok(number)) if number.is_finite() => Some(number.into()),
            Some(_) => return Err(malformed(format!("{name} must be a number"))),
        },
    })
}

fn malformed(message: String) -> QueryError {
    QueryError::new("MalformedInput", message, StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::super::parse_form;
    use super::*;
    use crate::iam::{CreateLoginProfileInput, CreateUserInput, ListUsersInput, UntagUserInput};
    use crate::sns::{PublishInput, SubscribeInput};

    fn read<T: DeserializeOwned + Validate>(form: &str) -> Result<T, QueryError> {
        read_input(&parse_form(form.as_bytes()).unwrap())
    }

    #[test]
    fn members_lists_and_numbers_are_read() {
        let form = "Action=CreateUser&UserName=a&Tags.member.1.Key=k&Tags.member.1.Value=&Tags.member.2.Key=l\
                    &Tags.member.2.Value=w";
        let user: CreateUserInput = read(form).unwrap();
        let tags = user.tags.unwrap();
        assert_eq!((user.user_name.as_str(), user.path), ("a", None));
        assert_eq!(tags.iter().map(|tag| (&*tag.key, &*tag.value)).collect::<Vec<_>>(), [("k", ""), ("l", "w")]);
        assert_eq!(read::<ListUsersInput>("MaxItems=7").unwrap().max_items, Some(7));
        assert_eq!(
            read::<CreateLoginProfileInput>("PasswordResetRequired=true").unwrap().password_reset_required,
            Some(true)
        );
        assert_eq!(read::<UntagUserInput>("UserName=a&TagKeys=").unwrap().tag_keys, Vec::<String>::new());
    }

    #[test]
    fn maps_are_read_by_the_names_that_the_model_gives_their_entries() {
        let form = "Message=m&MessageAttributes.entry.1.Name=a&MessageAttributes.entry.1.Value.DataType=Number\
                    &MessageAttributes.entry.1.Value.StringValue=7";
        let attributes = read::<PublishInput>(form).unwrap().message_attributes.unwrap();
        assert_eq!((&*attributes["a"].data_type, attributes["a"].string_value.as_deref()), ("Number", Some("7")));
        let form = "TopicArn=t&Protocol=sqs&Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true";
        assert_eq!(read::<SubscribeInput>(form).unwrap().attributes.unwrap()["RawMessageDelivery"], "true");
    }

    #[test]
    fn what_breaks_the_model_is_told_in_awss_words() {
        let message = |form| read::<CreateUserInput>(form).unwrap_err().message;
        assert_eq!(
            message("Path=/"),
            "1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null"
        );
        assert!(message("UserName=a%20b").contains("Value 'a b' at 'userName' failed to satisfy constraint"));
        assert!(message("UserName=a&Tags.member.1.Value=v").contains("Value null at 'tags.1.member.key'"));
        assert_eq!(read::<ListUsersInput>("MaxItems=some").unwrap_err().code, "MalformedInput");
        assert_eq!(read::<ListUsersInput>("MaxItems=0").unwrap_err().code, "ValidationError");
    }
}
