use std::collections::BTreeMap;

use opentrail_organizations::{Organization, Unit, new_unit_id};
use opentrail_wire::organizations::{
    Child, CreateOrganizationalUnitInput, CreateOrganizationalUnitOutput, DeleteOrganizationalUnitInput,
    DescribeOrganizationalUnitInput, DescribeOrganizationalUnitOutput, ListChildrenInput, ListChildrenOutput,
    ListOrganizationalUnitsForParentInput, ListOrganizationalUnitsForParentOutput, ListParentsInput, ListParentsOutput,
    Parent, UpdateOrganizationalUnitInput, UpdateOrganizationalUnitOutput,
};

use super::asked::{Asked, Circumstances};
use super::change::Committed;
use super::page::{Page, page, wanted};
use super::{Outcome, error, quota, shapes, tag};

/// Makes a unit below the root or another unit.
pub(super) async fn create_unit(
    asked: Asked<'_>,
    input: CreateOrganizationalUnitInput,
) -> Outcome<(CreateOrganizationalUnitOutput, Committed)> {
    let tags = input.tags.unwrap_or_default();
    asked.authorize_on_parent(&input.parent_id, &Circumstances { tags: &tags, ..Circumstances::default() })?;
    let before = asked.managed()?;
    if !before.has_parent(&input.parent_id) {
        return Err(error::no_parent());
    }
    require_free(&before, &input.parent_id, &input.name)?;
    if before.units.len() >= quota::UNITS {
        let message = format!("An organization has at most {} organizational units.", quota::UNITS);
        return Err(error::constraint("OU_NUMBER_LIMIT_EXCEEDED", message));
    }
    // The root counts one in the line of the parent, as the new unit will.
    if before.lineage(&input.parent_id).len() > quota::UNIT_DEPTH {
        let message = format!("Organizational units lie at most {} deep.", quota::UNIT_DEPTH);
        return Err(error::constraint("OU_DEPTH_LIMIT_EXCEEDED", message));
    }
    let tags = tag::put(BTreeMap::new(), tags)?;
    let mut after = Organization::clone(&before);
    let id = new_unit_id(&before.root, &*asked.cx.services.random);
    after.units.insert(id.clone(), Unit { name: input.name, parent: input.parent_id });
    if !tags.is_empty() {
        after.tags.insert(id.clone(), tags);
    }
    let output = CreateOrganizationalUnitOutput { organizational_unit: shapes::unit(&after, &id) };
    Ok((output, asked.replace(before, after).await?))
}

/// Names of units differ below one parent.
fn require_free(organization: &Organization, parent: &str, name: &str) -> Outcome<()> {
    match organization.units_in(parent).any(|(_, unit)| unit.name == name) {
        true => Err(error::unit_exists(name)),
        false => Ok(()),
    }
}

pub(super) fn describe_unit(
    asked: &Asked<'_>,
    input: &DescribeOrganizationalUnitInput,
) -> Outcome<DescribeOrganizationalUnitOutput> {
    asked.authorize_on_parent(&input.organizational_unit_id, &Circumstances::default())?;
    let organization = asked.administered()?;
    let unit = shapes::unit(&organization, &input.organizational_unit_id).ok_or_else(error::no_unit)?;
    Ok(DescribeOrganizationalUnitOutput { organizational_unit: Some(unit) })
}

/// Gives a unit another name.
pub(super) async fn update_unit(
    asked: Asked<'_>,
    input: UpdateOrganizationalUnitInput,
) -> Outcome<(UpdateOrganizationalUnitOutput, Committed)> {
    let id = input.organizational_unit_id;
    asked.authorize_on_parent(&id, &Circumstances::default())?;
    let before = asked.managed()?;
    let unit = before.units.get(&id).ok_or_else(error::no_unit)?;
    let mut after = Organization::clone(&before);
    if let Some(name) = input.name.filter(|name| *name != unit.name) {
        require_free(&before, &unit.parent, &name)?;
        after.units.insert(id.clone(), Unit { name, ..unit.clone() });
    }
    let output = UpdateOrganizationalUnitOutput { organizational_unit: shapes::unit(&after, &id) };
    Ok((output, asked.replace(before, after).await?))
}

/// Takes an empty unit away.
pub(super) async fn delete_unit(asked: Asked<'_>, input: DeleteOrganizationalUnitInput) -> Outcome<Committed> {
    let id = &input.organizational_unit_id;
    asked.authorize_on_parent(id, &Circumstances::default())?;
    let before = asked.managed()?;
    if !before.units.contains_key(id) {
        return Err(error::no_unit());
    }
    if before.units_in(id).next().is_some() || before.members_in(id).next().is_some() {
        return Err(error::unit_not_empty());
    }
    let mut after = Organization::clone(&before);
    after.units.remove(id);
    after.tags.remove(id);
    asked.replace(before, after).await
}

pub(super) fn list_units_for_parent(
    asked: &Asked<'_>,
    input: &ListOrganizationalUnitsForParentInput,
) -> Outcome<ListOrganizationalUnitsForParentOutput> {
    asked.authorize_on_parent(&input.parent_id, &Circumstances::default())?;
    let organization = asked.administered()?;
    if !organization.has_parent(&input.parent_id) {
        return Err(error::no_parent());
    }
    let units = organization.units_in(&input.parent_id);
    let units = units.filter_map(|(id, _)| Some((id.clone(), shapes::unit(&organization, id)?)));
    let Page { items, next_token } = page(asked, units, &input.parent_id, &wanted!(input))?;
    Ok(ListOrganizationalUnitsForParentOutput { organizational_units: Some(items), next_token })
}

/// What an account or unit is in: one root or unit.
pub(super) fn list_parents(asked: &Asked<'_>, input: &ListParentsInput) -> Outcome<ListParentsOutput> {
    match input.child_id.starts_with("ou-") {
        true => asked.authorize_on_parent(&input.child_id, &Circumstances::default())?,
        false => asked.authorize_on_account(&input.child_id, &Circumstances::default())?,
    }
    let organization = asked.administered()?;
    let member = input.child_id.parse().ok().and_then(|account| organization.members.get(&account));
    let unit = organization.units.get(&input.child_id);
    let parent = unit.map(|unit| &unit.parent).or(member.map(|member| &member.parent)).ok_or_else(error::no_child)?;
    let kind = if *parent == organization.root { "ROOT" } else { "ORGANIZATIONAL_UNIT" };
    let shown = Parent { id: Some(parent.clone()), r#type: Some(kind.to_owned()) };
    let Page { items, next_token } = page(asked, [(parent.clone(), shown)], &input.child_id, &wanted!(input))?;
    Ok(ListParentsOutput { parents: Some(items), next_token })
}

/// The accounts or the units right below a root or unit.
pub(super) fn list_children(asked: &Asked<'_>, input: &ListChildrenInput) -> Outcome<ListChildrenOutput> {
    asked.authorize_on_parent(&input.parent_id, &Circumstances::default())?;
    let organization = asked.administered()?;
    if !organization.has_parent(&input.parent_id) {
        return Err(error::no_parent());
    }
    let ids: Vec<String> = match input.child_type.as_str() {
        "ACCOUNT" => organization.members_in(&input.parent_id).map(|(account, _)| account.to_string()).collect(),
        _ => organization.units_in(&input.parent_id).map(|(id, _)| id.clone()).collect(),
    };
    let child = |id: String| Child { id: Some(id), r#type: Some(input.child_type.clone()) };
    let children = ids.into_iter().map(|id| (id.clone(), child(id)));
    let request = (&input.parent_id, &input.child_type);
    let Page { items, next_token } = page(asked, children, &request, &wanted!(input))?;
    Ok(ListChildrenOutput { children: Some(items), next_token })
}
