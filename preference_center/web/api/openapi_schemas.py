"""How APIFlask describes our models. It does not parse requests."""

from __future__ import annotations

from typing import Any

from apiflask.schema_adapters import registry
from apiflask.schema_adapters.pydantic import PydanticAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from preference_center.web.api.parsing import OneOrMany, RequestBody


class _RequestJsonSchema(GenerateJsonSchema):
    """For request bodies: a default of null says no more than that the field may be left out."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _NonNullJsonSchema(_RequestJsonSchema):
    """For responses and parameters: what may be None in Python is absent in JSON."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class ModelAdapter(PydanticAdapter):
    """The interface through which APIFlask sees a pydantic model."""

    def get_openapi_schema(self, **_: Any) -> dict[str, Any]:
        """Its JSON Schema; APIFlask prefixes the names in `$defs` with the model's."""
        model = self.model_class
        row = model.row if issubclass(model, OneOrMany) else model
        return model.model_json_schema(
            ref_template=f"#/components/schemas/{self.get_schema_name()}.{{model}}",
            schema_generator=_RequestJsonSchema
            if issubclass(row, RequestBody)
            else _NonNullJsonSchema,
        )


registry.register("pydantic", ModelAdapter)
