"""What listmonk's API user must be allowed, and is, by `GET /api/profile`.

https://listmonk.app/docs/roles-and-permissions/
What each request asks for is in listmonk's source (v6.2.0): cmd/handlers.go names the
permission of a route, cmd/subscribers.go and internal/auth/models.go those of lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preference_center.integrations.base.check_report import Permission
from preference_center.integrations.base.pydantic_types import LenientModel

_GRANT_TO_USER_ROLE = "grant it to the user's role (Users, User roles)"
_GRANT_TO_LIST_ROLE = (
    "grant it to the user's role, or give the user a list role (Users, List roles)"
)


class _Role(LenientModel):
    permissions: tuple[str, ...] = ()


class _ListPermissions(LenientModel):
    id: int = 0
    permissions: tuple[str, ...] = ()


class _ListRole(LenientModel):
    lists: tuple[_ListPermissions, ...] = ()


class ListmonkProfile(LenientModel):
    """The API user, with its user role and its list role if it has one."""

    user_role: _Role | None = None
    list_role: _ListRole | None = None

    def has_permission(self, permission: str) -> bool:
        """Whether the user role has it."""
        return self.user_role is not None and permission in self.user_role.permissions

    def has_list_permission(self, permission: str, list_id: str) -> bool:
        """Whether the list role has it for this list."""
        lists = self.list_role.lists if self.list_role else []
        return any(str(each.id) == list_id and permission in each.permissions for each in lists)


def list_permissions(profile: ListmonkProfile, list_ids: Sequence[str]) -> Iterator[Permission]:
    """What the connector needs, for the lists that topics are mapped to."""
    by_role = all(profile.has_list_permission("list:get", list_id) for list_id in list_ids)
    yield Permission(
        "subscribers:get_all, or subscribers:get with list:get on every mapped list",
        "see who is there and what is off",
        # With neither, listmonk answers every search with nobody: all would seem absent.
        profile.has_permission("subscribers:get_all")
        or (profile.has_permission("subscribers:get") and by_role),
        _GRANT_TO_LIST_ROLE,
    )
    yield Permission(
        "subscribers:sql_query",
        "search by address",
        profile.has_permission("subscribers:sql_query"),
        _GRANT_TO_USER_ROLE,
    )
    yield Permission(
        "subscribers:manage",
        "change subscriptions",
        profile.has_permission("subscribers:manage"),
        _GRANT_TO_USER_ROLE,
    )
    for list_id in list_ids:
        yield Permission(
            f"lists:get_all, or list:get on list {list_id}",
            f"see list {list_id}",
            profile.has_permission("lists:get_all")
            or profile.has_list_permission("list:get", list_id),
            _GRANT_TO_LIST_ROLE,
        )
        yield Permission(
            f"lists:manage_all, or list:manage on list {list_id}",
            f"turn list {list_id} off and on",
            profile.has_permission("lists:manage_all")
            or profile.has_list_permission("list:manage", list_id),
            _GRANT_TO_LIST_ROLE,
        )
