package main

// A tool is a generator of clients, or a way to use one. Its name is that of its folder.
type tool struct {
	name string
	// known has the reason why a phase or a step fails, by its name. Phases and steps that follow a failed phase are not run.
	known map[string]string
}

// short are the tools of the short form, which together show the most kinds of failures.
var short = []string{
	"openapi-generator-go",
	"openapi-generator-java-native",
	"openapi-generator-typescript-fetch",
	"orval-axios",
	"ogen",
}

// tools are in the order of the table.
var tools = []tool{
	{name: "openapi-generator-go"},
	{name: "openapi-generator-java-native"},
	{name: "openapi-generator-java-okhttp"},
	{name: "openapi-generator-kotlin"},
	{name: "openapi-generator-python"},
	{name: "openapi-generator-rust", known: map[string]string{
		"count": "The client returns no headers, so that X-Result-Count is out of reach.",
	}},
	{name: "openapi-generator-typescript-axios"},
	{name: "openapi-generator-typescript-fetch"},

	{name: "orval-fetch"},
	{name: "orval-axios"},
	{name: "openapi-fetch"},
	{name: "swagger-typescript-api-fetch"},
	{name: "swagger-typescript-api-axios"},
	{name: "rtk-query"},
	{name: "kubb"},
	{name: "ogen"},
	{name: "progenitor"},
	{name: "fastmcp", known: map[string]string{
		"count": "A tool returns the body of a response, and the response to a HEAD has none: HEAD operations are no tools.",
	}},
	{name: "postman"},
	{name: "bruno"},
}
