// The command line itself: which verbs and flags there are, and how errors leave. Exit codes: a command's own for run and exec; 125
// when wherry could not run it; 1 for every other error; CLI11's for a wrong usage.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>

#include "cri/cli/commands.h"
#include "cri/cli/ctr.h"
#include "cri/cli/format.h"

namespace wherry::cli {
namespace {

constexpr char kDefaultEndpoint[] = "unix:///run/wherry/wherry.sock";
constexpr char kDefaultConfig[] = "/etc/wherry/config.toml";
constexpr int kCouldNotRun = 125;

using Verb = std::function<absl::StatusOr<int>(Client&)>;

struct Invocation {
  std::string endpoint = kDefaultEndpoint;
  std::vector<std::string> command;  // of run and exec
  bool takes_signals = false;        // the verb stops a container instead of dying of SIGINT
  sys::UniqueFd signals;
  Verb verb;
  int error_code = 1;
};

std::shared_ptr<std::string> AddOutput(CLI::App* app) {
  auto format = std::make_shared<std::string>("table");
  app->add_option("-o,--output", *format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  return format;
}

Output ToOutput(const std::string& format) { return format == "json" ? Output::kJson : Output::kTable; }

void AddImage(CLI::App& app, Invocation& out) {
  auto* image = app.add_subcommand("image", "Images: pull, explain, import, tag, list, remove")->require_subcommand(1);

  auto* load = image->add_subcommand("import", "Add the images of OCI or docker-save archives (tar, plain or gzip'ed)");
  auto files = std::make_shared<std::vector<std::string>>();
  auto reference = std::make_shared<std::string>();
  load->add_option("FILE", *files, "Archives; - for standard input; a directory for an OCI image layout")->required();
  load->add_option("--name", *reference, "Name to give instead of the archive's own (archives with one image)");
  load->callback([=, &out] { out.verb = [=](Client& client) { return ImportImages(client, *files, *reference); }; });

  auto* pull = image->add_subcommand("pull", "Pull images from their registries");
  auto wanted = std::make_shared<std::vector<std::string>>();
  auto user = std::make_shared<std::string>();
  pull->add_option("IMAGE", *wanted, "Name, with a tag or digest")->required();
  pull->add_option("--user", *user, "Name at the registry; the password is read from standard input");
  pull->callback([=, &out] { out.verb = [=](Client& client) { return PullImages(client, *wanted, *user); }; });

  auto* explain = image->add_subcommand("explain", "Say which hosts a pull would ask, without asking them");
  auto name = std::make_shared<std::string>();
  auto config = std::make_shared<std::string>(kDefaultConfig);
  auto explain_format = AddOutput(explain);
  explain->add_option("IMAGE", *name, "Name, with a tag or digest")->required();
  explain->add_option("--config", *config, "wherryd's configuration")->capture_default_str();
  explain->callback(
      [=, &out] { out.verb = [=](Client&) { return ExplainImage(*name, *config, ToOutput(*explain_format)); }; });

  auto* tag = image->add_subcommand("tag", "Give an image more names");
  auto tagged = std::make_shared<std::string>();
  auto tags = std::make_shared<std::vector<std::string>>();
  tag->add_option("IMAGE", *tagged, "Name or id")->required();
  tag->add_option("NAME", *tags, "The new names; an image that has one now loses it")->required();
  tag->callback([=, &out] { out.verb = [=](Client& client) { return TagImage(client, *tagged, *tags); }; });

  auto* verify = image->add_subcommand("verify", "Compare images on disk with what was unpacked");
  auto verified = std::make_shared<std::vector<std::string>>();
  verify->add_option("IMAGE", *verified, "Names or ids; all images by default");
  verify->callback([=, &out] { out.verb = [=](Client& client) { return VerifyImages(client, *verified); }; });

  auto* save = image->add_subcommand("export", "Write an image as an OCI archive");
  auto exported = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();
  save->add_option("IMAGE", *exported, "Name or id")->required();
  save->add_option("FILE", *file, "The archive; - for standard output")->required();
  save->callback([=, &out] { out.verb = [=](Client& client) { return ExportImage(client, *exported, *file); }; });

  auto* ls = image->add_subcommand("ls", "List images");
  auto format = AddOutput(ls);
  ls->callback([=, &out] { out.verb = [=](Client& client) { return ListImages(client, ToOutput(*format)); }; });

  auto* rm = image->add_subcommand("rm", "Remove images, with all their names");
  auto images = std::make_shared<std::vector<std::string>>();
  rm->add_option("IMAGE", *images, "Name or id")->required();
  rm->callback([=, &out] { out.verb = [=](Client& client) { return RemoveImages(client, *images); }; });
}  // namespace wherry::cli

// Whether the word after `word`, a flag or several short ones in one, is its value.
bool ExpectsValue(const CLI::App& app, const CLI::App* verb, const std::string& word) {
  const auto takes_value = [&](const std::string& name) {
    const CLI::Option* option = verb != nullptr ? verb->get_option_no_throw(name) : nullptr;
    if (option == nullptr) option = app.get_option_no_throw(name);
    return option != nullptr && option->get_items_expected_max() > 0;
  };
  if (word[1] == '-') return takes_value(word);  // "--flag=value" is no option's name
  for (size_t i = 1; i < word.size(); ++i) {
    if (takes_value({'-', word[i]})) return i + 1 == word.size();  // the rest of the word is the value, if there is one
  }
  return false;
}

// Where a command for a container begins in argv, for the verbs that have one: behind their first positional, dashes and all.
// Cut off before CLI11 sees it, which would look for flags of ours in it. `argc` for all else.
int CommandBegin(CLI::App& app, int argc, char** argv) {
  CLI::App* verb = nullptr;
  bool expects_value = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (std::exchange(expects_value, false)) continue;
    if (word.size() > 1 && word[0] == '-') {
      expects_value = ExpectsValue(app, verb, word);
    } else if (verb != nullptr) {
      return i + 1;
    } else if (word == "run" || word == "exec") {
      verb = app.get_subcommand(word);
    } else {
      return argc;
    }
  }
  return argc;
}

void AddRun(CLI::App& app, Invocation& out) {
  auto* run = app.add_subcommand(
      "run", "Run a command in a new pod, print its output, remove the pod:\nwherry run [OPTIONS] IMAGE [CMD...]");
  auto o = std::make_shared<RunOptions>();
  run->add_option("IMAGE", o->image, "Name or id of an image")->required();
  run->add_option("--name", o->name, "Name of the pod and the container");
  run->add_option("--network", o->network, "pod or host")->check(CLI::IsMember({"pod", "host"}))->capture_default_str();
  run->add_option("-m,--memory", o->memory, "Limit, e.g. 64m or 1.5g; no swap beyond it");
  run->add_option("--cpus", o->cpus, "Limit, e.g. 0.5");
  run->add_option("--pids-limit", o->pids_limit, "Limit of processes and threads");
  run->add_option("-e,--env", o->env, "NAME=VALUE, or NAME to pass the caller's value on")->allow_extra_args(false);
  run->add_option("-v,--volume", o->volumes, "HOST:CONTAINER or HOST:CONTAINER:ro")->allow_extra_args(false);
  run->add_option("-w,--workdir", o->workdir, "Working directory");
  run->add_option("-u,--user", o->user, "UID, UID:GID or a name of the image");
  run->add_option("--cgroup-parent", o->cgroup_parent, "Cgroup that the pod's is made in; wherryd's own by default");
  run->add_flag("--privileged", o->privileged, "With all capabilities and devices, and nothing masked");
  run->add_flag("--rm,!--no-rm", o->remove, "Remove the pod at the end (the default)");
  run->add_flag("-d,--detach", o->detach, "Print the container's id and leave it running");
  run->callback([=, &out] {
    out.error_code = kCouldNotRun;
    o->command = out.command;
    out.takes_signals = !o->detach;
    out.verb = [=, &out](Client& client) { return Run(client, *o, out.signals.get()); };
  });
}

void AddLists(CLI::App& app, Invocation& out) {
  auto* ps = app.add_subcommand("ps", "List containers");
  auto all = std::make_shared<bool>(false);
  auto format = AddOutput(ps);
  ps->add_flag("-a,--all", *all, "Also those that do not run");
  ps->callback(
      [=, &out] { out.verb = [=](Client& client) { return ListContainers(client, *all, ToOutput(*format)); }; });

  auto* pods = app.add_subcommand("pods", "List pods");
  auto pod_format = AddOutput(pods);
  pods->callback([=, &out] { out.verb = [=](Client& client) { return ListPods(client, ToOutput(*pod_format)); }; });
}

void AddTrust(CLI::App* app, std::string& ca_file) {
  app->add_option("--ca-file", ca_file,
                  "PEM file of whom to trust, when streams are served over TLS; the host's own by default");
}

std::shared_ptr<StreamOptions> AddStreams(CLI::App* app) {
  auto options = std::make_shared<StreamOptions>();
  app->add_flag("-i,--stdin", options->input, "Pass standard input on");
  app->add_flag("-t,--tty", options->terminal, "With a terminal");
  AddTrust(app, options->ca_file);
  return options;
}

void AddExec(CLI::App& app, Invocation& out) {
  auto* exec =
      app.add_subcommand("exec", "Run a command in a running container:\nwherry exec [OPTIONS] CONTAINER CMD...");
  auto container = std::make_shared<std::string>();
  auto timeout = std::make_shared<int64_t>(0);
  exec->add_option("CONTAINER", *container, "Name, POD/NAME or the beginning of an id")->required();
  auto streams = AddStreams(exec);
  exec->add_option("--timeout", *timeout, "Seconds until it is killed; 0 = never")
      ->capture_default_str()
      ->excludes("--stdin")
      ->excludes("--tty");
  exec->callback([=, &out] {
    if (out.command.empty()) throw CLI::RequiredError("CMD");
    out.error_code = kCouldNotRun;
    out.verb = [=, &out](Client& client) {
      return streams->input || streams->terminal ? ExecInteractive(client, *container, out.command, *streams)
                                                 : Exec(client, *container, out.command, *timeout);
    };
  });
}

void AddAttach(CLI::App& app, Invocation& out) {
  auto* attach = app.add_subcommand("attach", "Show what a running container prints from now on, and type into it");
  auto container = std::make_shared<std::string>();
  attach->add_option("CONTAINER", *container, "Name, POD/NAME or the beginning of an id")->required();
  auto streams = AddStreams(attach);
  attach->footer("With -t, which is for containers with a terminal, and -i the keys ctrl-p ctrl-q detach.");
  attach->callback([=, &out] {
    out.error_code = kCouldNotRun;
    out.verb = [=](Client& client) { return Attach(client, *container, *streams); };
  });
}

void AddPortForward(CLI::App& app, Invocation& out) {
  auto* forward =
      app.add_subcommand("port-forward", "Make ports of this host lead into a pod, until it is interrupted");
  auto o = std::make_shared<PortForwardOptions>();
  forward->add_option("POD", o->pod, "Name, NAMESPACE/NAME or the beginning of an id")->required();
  forward->add_option("PORT", o->ports, "REMOTE, LOCAL:REMOTE, or :REMOTE for any free local port")->required();
  forward->add_option("--address", o->address, "Where to listen")->capture_default_str();
  AddTrust(forward, o->ca_file);
  forward->callback([=, &out] { out.verb = [=](Client& client) { return ForwardPorts(client, *o); }; });
}

void AddLogs(CLI::App& app, Invocation& out) {
  auto* logs = app.add_subcommand("logs", "Print what a container has written");
  auto o = std::make_shared<LogsOptions>();
  logs->add_option("CONTAINER", o->container, "Name, POD/NAME or the beginning of an id")->required();
  logs->add_flag("-f,--follow", o->follow, "Go on until the container has ended");
  logs->add_flag("-t,--timestamps", o->timestamps, "With the time of each line");
  logs->add_option("--tail", o->tail, "Only the last lines")->check(CLI::Range(0, 1 << 30));
  logs->callback([=, &out] { out.verb = [=](Client& client) { return Logs(client, *o); }; });
}

void AddEnds(CLI::App& app, Invocation& out) {
  auto* stop = app.add_subcommand("stop", "Stop containers or pods");
  auto names = std::make_shared<std::vector<std::string>>();
  auto timeout = std::make_shared<int64_t>(10);
  stop->add_option("NAME", *names, "Names, or beginnings of ids")->required();
  stop->add_option("-t,--timeout", *timeout, "Seconds until a container is killed")->capture_default_str();
  stop->callback([=, &out] { out.verb = [=](Client& client) { return Stop(client, *names, *timeout); }; });

  auto* rm = app.add_subcommand("rm", "Remove containers or pods");
  auto rm_names = std::make_shared<std::vector<std::string>>();
  auto force = std::make_shared<bool>(false);
  rm->add_option("NAME", *rm_names, "Names, or beginnings of ids")->required();
  rm->add_flag("-f,--force", *force, "Also what is running");
  rm->callback([=, &out] { out.verb = [=](Client& client) { return Remove(client, *rm_names, *force); }; });
}

void AddDoctor(CLI::App& app, Invocation& out) {
  auto* doctor = app.add_subcommand("doctor", "Say what this host has and lacks");
  auto config = std::make_shared<std::string>(kDefaultConfig);
  doctor->add_option("--config", *config, "wherryd's configuration")->capture_default_str();
  doctor->callback([=, &out] { out.verb = [=](Client& client) { return Doctor(client, *config); }; });
}

int Fail(const absl::Status& status, int code) {
  std::cerr << "wherry: " << ErrorLine(status) << "\n";
  return code;
}

int Main(int argc, char** argv) {
  Invocation invocation;
  CLI::App app("wherry: pods, containers and images of this node, through the container runtime interface (CRI)",
               "wherry");
  app.set_version_flag("--version", "wherry " WHERRY_VERSION);
  app.add_option("--endpoint", invocation.endpoint, "Socket of the runtime")
      ->envname("CONTAINER_RUNTIME_ENDPOINT")
      ->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();
  AddRun(app, invocation);
  AddLists(app, invocation);
  AddExec(app, invocation);
  AddAttach(app, invocation);
  AddPortForward(app, invocation);
  AddLogs(app, invocation);
  AddEnds(app, invocation);
  AddImage(app, invocation);
  AddDoctor(app, invocation);
  const int begin = CommandBegin(app, argc, argv);
  invocation.command.assign(argv + begin, argv + argc);
  if (!invocation.command.empty() && invocation.command.front() == "--")
    invocation.command.erase(invocation.command.begin());
  CLI11_PARSE(app, begin, argv);

  if (invocation.takes_signals) {
    auto signals = TakeStopSignals();
    if (!signals.ok()) return Fail(signals.status(), invocation.error_code);
    invocation.signals = std::move(*signals);
  }
  auto client = Client::Create(invocation.endpoint);
  absl::StatusOr<int> code = client.ok() ? invocation.verb(**client) : client.status();
  std::cout.flush();
  return code.ok() ? *code : Fail(code.status(), invocation.error_code);
}

}  // namespace
}  // namespace wherry::cli

// Installed a second time under the name "ctr", it is that (see ctr.cc).
int main(int argc, char** argv) {
  const std::string name = argv[0] == nullptr ? "" : argv[0];
  if (name.substr(name.rfind('/') + 1) == "ctr") return wherry::cli::CtrMain(argc, argv);
  return wherry::cli::Main(argc, argv);
}
