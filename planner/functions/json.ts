/** JSON: PostgreSQL's json and jsonb functions in DuckDB's words. See function-table.ts for the notation. */

export const JSON_FUNCTIONS = `
to_json(anyelement) json &toJson = json
to_jsonb(anyelement) jsonb &toJson = jsonb
row_to_json(record) json &toJson = json
array_to_json(anyarray) json &toJson = json
json_build_object() json = CAST('{}' AS JSON)
json_build_object(variadic any) json &jsonObject = json
jsonb_build_object() jsonb = CAST('{}' AS JSON)
jsonb_build_object(variadic any) jsonb &jsonObject = jsonb
json_build_array() json = CAST('[]' AS JSON)
json_build_array(variadic any) json &jsonArray = json
jsonb_build_array() jsonb = CAST('[]' AS JSON)
jsonb_build_array(variadic any) jsonb &jsonArray = jsonb
json_typeof(json) text = lakegate_json_typeof($1)
jsonb_typeof(jsonb) text = lakegate_json_typeof($1)
json_array_length(json) int4 = lakegate_json_array_length($1)
jsonb_array_length(jsonb) int4 = lakegate_json_array_length($1)
json_array_elements(json) setof json = unnest(lakegate_json_elements($1))
jsonb_array_elements(jsonb) setof jsonb = unnest(lakegate_json_elements($1))
json_array_elements_text(json) setof text = unnest(list_transform(lakegate_json_elements($1), lambda e: (e ->> '$')))
jsonb_array_elements_text(jsonb) setof text = unnest(list_transform(lakegate_json_elements($1), lambda e: (e ->> '$')))
json_object_keys(json) setof text = unnest(lakegate_json_keys($1))
jsonb_object_keys(jsonb) setof text = unnest(lakegate_json_keys($1))
json_extract_path(json, variadic text) json &jsonPath = json
jsonb_extract_path(jsonb, variadic text) jsonb &jsonPath = json
json_extract_path_text(json, variadic text) text &jsonPath = text
jsonb_extract_path_text(jsonb, variadic text) text &jsonPath = text
jsonb_pretty(jsonb) text = json_pretty($1)
jsonb_exists(jsonb, text) bool = lakegate_json_exists($1, $2)
json_valid(text) bool = json_valid($1)
jsonb_strip_nulls(jsonb) jsonb &refuse = jsonb_strip_nulls
jsonb_set(jsonb, text[], jsonb) jsonb &refuse = jsonb_set
`
