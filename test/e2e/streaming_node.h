#pragma once

#include <memory>
#include <string>
#include <vector>

#include "test/e2e/node.h"
#include "test/integration/streaming/support.h"

namespace wherry::e2e {

// A node whose streams are asked for as the kubelet does: a URL from CRI, then a client of it.
class StreamingNodeTest : public NodeTest {
 protected:
  grpc::Status TryExec(const std::string& container, const std::vector<std::string>& command,
                       streaming::Streams streams, std::string* url) {
    cri::ExecRequest request;
    request.set_container_id(container);
    for (const std::string& word : command) request.add_cmd(word);
    request.set_stdin(streams.in);
    request.set_stdout(streams.out);
    request.set_stderr(streams.err);
    request.set_tty(streams.tty);
    cri::ExecResponse response;
    grpc::ClientContext context;
    grpc::Status status = node.runtime().Exec(&context, request, &response);
    *url = response.url();
    return status;
  }
  std::string ExecUrl(const std::string& container, const std::vector<std::string>& command,
                      streaming::Streams streams) {
    std::string url;
    grpc::Status status = TryExec(container, command, streams, &url);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return url;
  }
  std::string AttachUrl(const std::string& container) {
    cri::AttachRequest request;
    request.set_container_id(container);
    request.set_stdin(true);
    request.set_stdout(true);
    cri::AttachResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().Attach(&context, request, &response).ok());
    return response.url();
  }
  std::string ForwardUrl(const std::string& pod) {
    cri::PortForwardRequest request;
    request.set_pod_sandbox_id(pod);
    cri::PortForwardResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().PortForward(&context, request, &response).ok());
    return response.url();
  }
  std::unique_ptr<streaming::test::SpdyClient> Forward(const std::string& pod) {
    return std::make_unique<streaming::test::SpdyClient>(
        ForwardUrl(pod),
        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n");
  }
};

}  // namespace wherry::e2e
