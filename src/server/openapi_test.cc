// docs/openapi says exactly what the two listeners answer: every route is in its file, and the reverse.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "server/testing/server_fixture.h"

namespace fleetseal::server::testing {
namespace {

using Routes = std::set<std::string>;

// Parameters are compared by their place: their names are for people.
std::string WithoutNames(std::string path) {
  for (size_t open = path.find('{'); open != std::string::npos; open = path.find('{', open + 1)) {
    path.erase(open + 1, path.find('}', open) - open - 1);
  }
  return path;
}

// "GET /healthz" of each path and method. The files keep the layout "  '/path':" and "    get:".
Routes InFile(const std::string& name) {
  const std::string here = __FILE__;
  std::ifstream file(here.substr(0, here.rfind("src/server/")) + "docs/openapi/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  Routes routes;
  std::string line;
  std::string path;
  while (std::getline(file, line)) {
    if (line == "components:") break;
    if (line.starts_with("  '/") && line.ends_with("':")) path = line.substr(3, line.size() - 5);
    for (const std::string_view method : {"get", "post", "put", "delete", "patch"}) {
      if (line != "    " + std::string(method) + ":") continue;
      std::string upper(method);
      for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
      routes.insert(upper + " " + WithoutNames(path));
    }
  }
  return routes;
}

Routes Registered(const http::Router& router) {
  Routes routes;
  for (const http::Route* route : router.routes()) {
    std::string pattern = WithoutNames(route->pattern);
    // One route for each depth of the log's tree; the page names the checkpoint and the tiles.
    if (pattern.starts_with("/log/")) pattern = pattern == "/log/{}" ? "/log/checkpoint" : "/log/tile/{}";
    routes.insert(std::string(http::MethodName(route->method)) + " " + pattern);
  }
  return routes;
}

TEST_F(ServerTest, TheDeviceApiFileNamesTheRoutesThatAreAnsweredAndNoOther) {
  EXPECT_EQ(InFile("device.yaml"), Registered(lab.server->device_routes()));
}

TEST_F(ServerTest, TheAdminApiFileNamesTheRoutesThatAreAnsweredAndNoOther) {
  EXPECT_EQ(InFile("admin.yaml"), Registered(lab.server->admin_routes()));
}

}  // namespace
}  // namespace fleetseal::server::testing
