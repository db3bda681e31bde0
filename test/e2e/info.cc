#include "test/e2e/info.h"

#include <gtest/gtest.h>

namespace wherry::e2e {

nlohmann::json Info(Node& node, const std::string& container) {
  cri::ContainerStatusRequest request;
  request.set_container_id(container);
  request.set_verbose(true);
  cri::ContainerStatusResponse response;
  grpc::ClientContext context;
  EXPECT_TRUE(node.runtime().ContainerStatus(&context, request, &response).ok());
  return nlohmann::json::parse(response.info().at("info"));
}

}  // namespace wherry::e2e
